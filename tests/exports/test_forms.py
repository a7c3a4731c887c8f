"""One statement, many forms: each as it was looked at once, all with equal totals, equal input with equal bytes."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from decimal import Decimal

import polars as pl
import pytest

from pipelines import filing
from pipelines import tables as t
from pipelines.config import Statements
from pipelines.errors import UsageError
from pipelines.exports import proven, tabular
from pipelines.exports.display import instant, number, price, units
from pipelines.exports.sheet import sheet
from pipelines.filing import first_difference, form_of, write, write_all
from pipelines.proof import completeness
from pipelines.publications import Publication
from pipelines.statements import Answer, Question
from tests.exports import january
from tests.exports.forms import cells_of, column, golden, words_of
from tests.issued import Issuer
from tests.ledger_text import rows

D = Decimal
FORMS = ("csv", "json", "pdf", "xlsx", "parquet", "bundle")


@pytest.mark.parametrize("by", ["portfolio", "asset"])
@pytest.mark.parametrize("form", ["csv", "json"])
def test_text_forms_are_those_that_were_looked_at(asked, by, form):
    golden(f"january_by_{by}.{form}", form_of(asked(by=by), form).decode())


@pytest.mark.parametrize("by", ["portfolio", "asset"])
def test_paper_reads_as_it_was_looked_at(asked, by):
    golden(f"january_by_{by}.pdf.txt", words_of(form_of(asked(by=by), "pdf")))


def test_a_roll_forward_reads_as_it_was_looked_at(asked):
    movements = asked(since=january.OPEN)
    golden("january_roll_forward.csv", form_of(movements, "csv").decode())
    golden("january_roll_forward.json", form_of(movements, "json").decode())
    golden("january_roll_forward.pdf.txt", words_of(form_of(movements, "pdf")))


def sums(rows, value="value"):
    found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        if row[value] not in (None, ""):
            found[row["entity"], row["currency"]] += D(row[value])
    return dict(found)


@pytest.mark.parametrize("by", ["portfolio", "asset"])
def test_totals_read_back_from_every_form_are_equal_to_the_last_digit(asked, by):
    answer = asked(by=by)
    from_csv = sums(csv.DictReader(io.StringIO(form_of(answer, "csv").decode())))
    from_json = json.loads(form_of(answer, "json"))
    totals = [t for t in from_json["totals"] if t["portfolio"] is None and t["price_basis"] is None]
    assert len(from_csv) == 3
    assert {(t["entity"], t["currency"]): D(t["value"]) for t in totals} == from_csv
    assert sums(from_json["subtotals"]) == from_csv
    assert sums(pl.read_parquet(io.BytesIO(form_of(answer, "parquet"))).to_dicts()) == from_csv
    sheets = cells_of(form_of(answer, "xlsx"))
    cells = column(sheets["Statement"], "Value (exact)")
    assert {kind for kind, _ in cells} == {"s"}
    assert sorted(D(text) for _, text in cells) == sorted(answer.statement.rows["value"].drop_nulls())
    exact = {text for _, text in column(sheets["Totals"], "Value (exact)")}
    assert exact >= {t["value"] for t in totals}
    paper = words_of(form_of(answer, "pdf"))
    for total in totals:
        printed, exact = number(D(total["printed"]), 2), number(D(total["value"]))
        assert f"{total['currency']} Priced subtotal {total['rows']} {printed} {exact}" in paper


def test_printed_lines_that_do_not_add_say_by_how_much(asked):
    t = asked().statement.totals.filter(pl.col("entity") == "acme", pl.col("currency") == "USD")
    whole = t.row(by_predicate=pl.col("portfolio").is_null() & pl.col("price_basis").is_null(), named=True)
    assert (whole["printed"], whole["printed_lines"], whole["rounding_difference"]) == (D("1924585.98"), D("1924585.99"), D("-0.01"))
    assert "USD Rounding difference -0.01" in words_of(form_of(asked(), "pdf"))


def test_a_spreadsheet_number_stands_beside_its_exact_text(asked):
    sheet = cells_of(form_of(asked(), "xlsx"))["Statement"]
    titles = [text for _, text in sheet[0]]
    assert titles[titles.index("Value") + 1] == "Value (exact)"
    usd = next(row for row in sheet if ("s", "USD") in row and ("s", "250000.015") in row)
    assert ("n", "250000.02") in usd, "the number is the printed one, half-even"
    assert not any(kind == "f" for rows in cells_of(form_of(asked(), "xlsx")).values() for row in rows for kind, _ in row)


def test_a_parquet_statement_says_what_it_is_about(asked):
    body = form_of(asked(), "parquet")
    facts = tabular.facts_of(body)
    assert (facts["publication"], facts["as_of"], facts["by"]) == (412, "2025-02-01T00:00:00Z", "portfolio")
    assert pl.read_parquet_schema(io.BytesIO(body))["value"] == pl.Decimal(38, 18)


@pytest.mark.parametrize("form", FORMS)
def test_equal_questions_have_equal_bytes(asked, form):
    for question in ({}, {"by": "asset"}, {"since": january.OPEN}):
        assert form_of(asked(**question), form) == form_of(asked(**question), form)


def test_the_close_is_said_in_the_words_of_its_calendar(asked):
    assert asked().heading.close == "Close of 31 Jan 2025 (UTC): all entries before 2025-02-01 00:00:00Z"
    source = asked().source
    words = {c: words_at(source, "2025-01-31T22:00:00Z", c) for c in ("utc", "new_york", "nobody")}
    assert words == {
        "utc": "All entries before 2025-01-31 22:00:00Z",
        "new_york": "Close of 31 Jan 2025 (America/New_York 17:00): all entries before 2025-01-31 22:00:00Z",
        "nobody": "All entries before 2025-01-31 22:00:00Z",
    }


def words_at(source, text, calendar):
    from pipelines.statements import closing_words
    from tests.ledger_text import instant as at

    return closing_words(source, at(text), calendar)


def test_a_statement_of_one_portfolio_is_about_nothing_else(asked):
    statement = asked(portfolio="perps").statement
    assert set(statement.rows["portfolio"]) == {"perps"}
    assert statement.portfolios["portfolio"].to_list() == ["perps"]
    assert statement.live.is_empty()
    assert statement.controls["portfolios"] == "1 of 4 known portfolios"
    assert statement.controls["entries before the instant"] == 8


def test_holds_are_the_newest_and_live_and_nothing_is_held_where_zero_is(asked):
    live = asked().statement.live.select("portfolio", "native_code", "scope", "amount").rows()
    assert live == [("treasury", "BTC", "hold", D("0.25"))]


def test_the_chart_is_drawn_from_the_book_of_each_close(asked, published):
    history = asked().statement.history
    usd = history.filter(pl.col("currency") == "USD")
    assert usd.height == 31
    closed = published.sql("SELECT value FROM daily_values WHERE as_of = '2025-01-15T00:00:00Z' AND calendar = 'utc' AND currency = 'USD'")
    mid = usd.row(by_predicate=pl.col("as_of") == january.OPEN.replace(day=15), named=True)
    assert mid["value"] == closed["value"].sum()


def test_knowledge_ends_where_it_is_cut(asked):
    from tests.ledger_text import instant as at

    early = asked(known_at=at("2025-01-22"))
    assert early.statement.rows.is_empty(), "nothing was recorded by then but an entry of an account nobody had named"
    assert form_of(early, "pdf")


def test_a_file_that_says_the_same_is_the_answer_and_others_are_the_next_version(asked, tmp_path):
    first = write(asked(), "csv", tmp_path)
    assert first.name == "all_portfolio_20250201T000000Z_v1.csv"
    assert write(asked(), "csv", tmp_path) == first
    first.write_text("changed")
    assert write(asked(), "csv", tmp_path).name == "all_portfolio_20250201T000000Z_v2.csv"
    assert first.read_text() == "changed"


def test_a_month_is_a_statement_and_a_roll_forward_and_a_bundle_holds_both(asked, published, tmp_path):
    question = Question(january.CLOSE, since=january.OPEN)
    names = [p.name for p in write_all(published, question, "csv", tmp_path, both=True)]
    assert names == ["all_portfolio_20250201T000000Z_v1.csv", "all_rollforward-20250101T000000Z_20250201T000000Z_v1.csv"]
    assert [p.suffix for p in write_all(published, question, "bundle", tmp_path, both=True)] == [".zip"]


def test_a_roll_forward_to_before_its_beginning_is_refused(asked):
    with pytest.raises(UsageError, match="earlier instant"):
        form_of(asked(since=january.CLOSE), "json")


def test_numbers_on_paper_keep_every_digit_that_counts():
    assert number(D("-1234567.890000000000000001")) == "-1,234,567.890000000000000001"
    assert (number(D(1000), 2), number(D("1E+3")), number(None), units(D(0)), units(None)) == ("1,000.00", "1,000", "–", "–", "unknown")
    assert price(D("98149.960416666666666667"), 2) == "98,149.96042"
    assert price(D("0.000012345678905"), 2) == "0.0000123456789"
    assert price(D("0.12345678905"), 2) == "0.123456789", "half-even at the tenth digit"
    assert (price(D(1), 2), price(D(0), 2), price(D("123456789012345.5"), 2)) == ("1.00", "0.00", "123,456,789,012,345.50")
    assert instant(january.CLOSE.replace(microsecond=500)) == "2025-02-01 00:00:00.0005Z"


def test_what_is_in_transit_stands_below_the_balances_with_a_second_total(asked):
    statement = asked(by="asset").statement
    way = statement.in_transit.select("asset", "units", "sent_by", "received_by").rows()
    assert way == [("ETH", D(2), "treasury", "shop"), ("USDC", D(10), "perps", None)], "both ends, or one that is not seen"
    [second] = statement.second_totals.to_dicts()
    assert second["second_total"] - second["value"] == second["in_transit"] == statement.in_transit["value"].sum()
    assert statement.rows.equals(asked(by="asset").snapshot.by_asset()), "in no balance"
    assert asked(portfolio="treasury").statement.in_transit.is_empty(), "a portfolio alone has nothing in transit"
    assert asked(entity="zeta").statement.in_transit.is_empty()
    assert "Agrees with by-portfolio: yes" in words_of(form_of(asked(by="asset"), "pdf"))


def test_what_is_in_transit_is_matched_with_the_knowledge_asked_for(asked):
    from tests.ledger_text import instant as at

    known = asked(known_at=at("2025-02-03T07:59:30Z"))
    assert known.statement.in_transit.equals(asked().statement.in_transit)
    assert asked(known_at=at("2025-01-22")).statement.in_transit.is_empty()


def test_what_is_adjusted_stands_below_the_balances_too(tmp_path):
    made = rows(t.ADJUSTMENTS, """
        record | portfolio | native_code | occurred_at | amount | author | approver
        a      | treasury  | BTC         | 2025-01-20  | -0.5   | ann    | bob
        b      | treasury  | BTC         | 2025-01-21  | 0.25   | ann    | bob
        c      | treasury  | USD         | 2025-02-01  | 7      | ann    | bob      # after the instant
    """, event_type="adjustment", reason="a claim", document="doc1", **january.KNOWN)  # fmt: skip
    with Publication(january.write(tmp_path / "000413.duckdb", adjustments=made)) as source:
        answer = Answer(source, Question(january.CLOSE, entity="acme"))
        statement, paper = answer.statement, words_of(form_of(answer, "pdf"))
        (tmp_path / "made.zip").write_bytes(form_of(answer, "bundle"))
    [line] = statement.adjusted.to_dicts()
    assert (line["native_code"], line["units"], line["value"]) == ("BTC", D("-0.25"), D("-24537.490104166666666667"))
    [second] = statement.second_totals.to_dicts()
    assert second["second_total"] == second["value"] + second["in_transit"] + line["value"]
    assert statement.rows.filter(native_code="BTC")["balance"].to_list() == [D("12.5")], "in no balance"
    assert "USD 1,924,585.98 + in transit 6,720.25 + adjustments -24,537.49 =" in paper
    assert first_difference(tmp_path / "made.zip") == ""


def test_the_completeness_report_reads_as_it_was_looked_at(asked):
    report = completeness(asked(entity="acme", since=january.OPEN))
    golden("january_completeness.csv", tabular.csv(report.rows).decode())
    golden("january_completeness.pdf.txt", words_of(proven.pdf(report)))
    assert report.prices["hours_not_read"].sum() == 0
    assert cells_of(sheet(report))["Accounts"][0][0] == ("s", "Entity")


def test_each_run_writes_what_the_configuration_asks_for(january_book, tmp_path):
    issuer = Issuer(tmp_path / "home", january_book)
    wanted = Statements(portfolios=("treasury", "notyet"), entities=("acme",), formats=("pdf", "json"))
    names = {path.name for path in filing.of_newest_days(issuer.home, wanted)}
    assert {name for name in names if not name.endswith(".csv")} == {
        f"{scope}_portfolio_{as_of}_v1.{form}"
        for scope in ("treasury", "acme")
        for as_of in ("20250131T220000Z", "20250201T000000Z")
        for form in ("pdf", "json")
    }
    assert names == {path.name for path in filing.of_newest_days(issuer.home, wanted)}, "and again nothing new"
