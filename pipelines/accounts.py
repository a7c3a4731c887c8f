"""What a batch or the configuration says of accounts → portfolios bound, accounts registered, openings by version.

Which rows of theirs are new is `ingest`'s work; what an opening amounts to is `stages.ledger`'s.
"""

from __future__ import annotations

import polars as pl

from pipelines import dirty, labels
from pipelines.config import Config
from pipelines.errors import ConfigError, Unreadable
from pipelines.histories import among
from pipelines.pages import Batch, contradicts
from pipelines.stages import ledger
from pipelines.tables import ACCOUNTS, INSTANT, INT, MONEY, OPENINGS, PAST_LABELS, PORTFOLIOS, TEXT
from pipelines.warehouse import Commit, Warehouse

CODES = {"native_code": TEXT, "venue_account_id": TEXT}


def bind(warehouse: Warehouse, commit: Commit, batch: Batch, venue_id: str | None = None) -> None:
    """The batch's portfolio is in the book, even where no configuration names it any more; a name stands for one id, no two do."""
    venue_id = venue_id or batch.identity or None
    _require_own(warehouse, batch, venue_id)
    known = warehouse.read(PORTFOLIOS, "portfolio = ?", batch.portfolio)
    row = {"portfolio": batch.portfolio, "entity": "default", "venue": batch.venue, "venue_id": venue_id, "recorded_at": commit.recorded_at}
    if known.is_empty():
        commit.insert(PORTFOLIOS, PORTFOLIOS.frame([row]))
    elif venue_id is not None and known["venue_id"][0] != venue_id:
        bound = row | {"entity": known["entity"][0], "owner": known["owner"][0]}
        commit.replace(PORTFOLIOS, PORTFOLIOS.frame([bound]), f"portfolio = '{batch.portfolio}'")


def _require_own(warehouse: Warehouse, batch: Batch, venue_id: str | None) -> None:
    bound = warehouse.read(PORTFOLIOS, "venue = ? AND venue_id IS NOT NULL", batch.venue)
    for other, other_id in bound.select("portfolio", "venue_id").iter_rows():
        if venue_id and contradicts(batch.portfolio, venue_id, other, other_id):
            raise Unreadable(
                f"Pages of {venue_id} came for {batch.portfolio}, but {other} is bound to {other_id}.", "Nothing was taken from them."
            )


def register(warehouse: Warehouse, commit: Commit, portfolio: str, venue: str, codes: pl.DataFrame, config: Config) -> pl.DataFrame:
    """All accounts of the portfolio: new codes numbered from the highest on, and the ids the venue gives them now."""
    accounts = warehouse.read(ACCOUNTS, "portfolio = ?", portfolio)
    said = codes.drop_nulls("native_code").unique("native_code", keep="last", maintain_order=True)
    if (moved := _moved(accounts, said)).height:
        commit.replace(ACCOUNTS, moved, f"portfolio = '{portfolio}' AND {among(moved['account_id'])}")
    new = said.join(accounts, on="native_code", how="anti").sort("native_code")
    if new.height:
        highest = warehouse.sql("SELECT coalesce(max(account_id), 0) AS n FROM accounts")["n"][0]
        numbered = new.with_row_index("n", offset=highest + 1).select(
            pl.col("n").cast(INT).alias("account_id"),
            pl.lit(portfolio).alias("portfolio"),
            "native_code",
            "venue_account_id",
            *labels.columns(venue, new["native_code"], labels.Map.of(config, warehouse)),
        )
        commit.insert(ACCOUNTS, numbered)
        dirty.since_ever(warehouse, commit, "ACCOUNT", numbered["account_id"], "account is new")
    return warehouse.read(ACCOUNTS, "portfolio = ?", portfolio)


def relabel(warehouse: Warehouse, commit: Commit, config: Config) -> None:
    """What the codes mean now; what they meant until now is kept."""
    before = warehouse.read(ACCOUNTS)
    venues = warehouse.read(PORTFOLIOS).select("portfolio", "venue")
    known = labels.Map.of(config, warehouse)
    named = before.join(venues, on="portfolio", maintain_order="left")
    parts = [named.filter(pl.col("venue") == v) for v in sorted(set(named["venue"]))]
    after = pl.concat(
        [ACCOUNTS.empty(), *(p.with_columns(labels.columns(p["venue"][0], p["native_code"], known)).drop("venue") for p in parts)]
    )
    commit.replace(ACCOUNTS, after)
    changed = after.join(before, on=before.columns, how="anti", nulls_equal=True)
    past = before.join(changed, on="account_id", how="semi").with_columns(retired_at=pl.lit(commit.recorded_at, INSTANT))
    commit.insert(PAST_LABELS, past.select(PAST_LABELS.schema.names()))
    dirty.since_ever(warehouse, commit, "ACCOUNT", changed["account_id"], "label changed")


def never_used(warehouse: Warehouse, portfolio: str) -> pl.DataFrame:
    """Accounts that were read from their beginning and had no event, and of which the venue says that they hold nothing."""
    return warehouse.sql(
        "SELECT DISTINCT a.* FROM accounts a JOIN pulls p ON p.kind = 'WHOLE' AND p.portfolio = a.portfolio AND p.subject = a.native_code "
        "ANTI JOIN postings USING (account_id) ANTI JOIN (SELECT portfolio, native_code FROM venue_balances WHERE scope = 'account' "
        "QUALIFY recorded_at = max(recorded_at) OVER (PARTITION BY portfolio, native_code) AND amount <> 0) h "
        "ON h.portfolio = a.portfolio AND h.native_code = a.native_code WHERE a.portfolio = ? ORDER BY account_id",
        portfolio,
    )


def _moved(accounts: pl.DataFrame, said: pl.DataFrame) -> pl.DataFrame:
    """Accounts to which the venue gives another id now: what they hold stays theirs."""
    ids = said.select("native_code", id_now="venue_account_id").drop_nulls("id_now")
    found = accounts.join(ids, on="native_code", how="inner", maintain_order="left")
    return found.filter(pl.col("id_now").ne_missing(pl.col("venue_account_id"))).with_columns(venue_account_id="id_now").drop("id_now")


def assert_openings(warehouse: Warehouse, commit: Commit, config: Config) -> None:
    """Every configured opening has its account and is in force, whether or not the venue ever shows the code; others no longer are."""
    if ahead := [o for o in config.opening if o.at > commit.recorded_at]:
        raise ConfigError(
            f"The opening of {ahead[0].portfolio} {ahead[0].native_code} lies in the future: {ahead[0].at}.", "Mend its `at`."
        )
    held = warehouse.sql("SELECT DISTINCT ON (account_id) account_id, kind FROM openings ORDER BY account_id, recorded_at DESC")
    asserted = held.filter(pl.col("kind") == "ASSERTED")["account_id"]
    for portfolio in warehouse.read(PORTFOLIOS).to_dicts():
        codes = [o.native_code for o in config.opening if o.portfolio == portfolio["portfolio"]]
        named = pl.DataFrame({"native_code": codes, "venue_account_id": [None] * len(codes)}, schema=CODES)
        accounts = register(warehouse, commit, portfolio["portfolio"], portfolio["venue"], named, config)
        mine = accounts.filter(pl.col("native_code").is_in(codes) | pl.col("account_id").is_in(asserted.implode()))
        if mine.height:
            open_accounts(warehouse, commit, mine, config)


def open_accounts(warehouse: Warehouse, commit: Commit, accounts: pl.DataFrame, config: Config) -> None:
    """Openings of these accounts as they follow from what is known now."""
    mine = among(accounts["account_id"])
    first = warehouse.sql(
        "SELECT DISTINCT ON (account_id) account_id, occurred_at, amount, balance_after FROM postings "
        f"WHERE retired_at IS NULL AND {mine} ORDER BY account_id, occurred_at, position"
    )
    live = warehouse.sql(
        "SELECT DISTINCT ON (account_id) account_id, b.amount FROM accounts JOIN venue_balances b USING (portfolio, native_code) "
        f"WHERE b.scope = 'account' AND {mine} ORDER BY account_id, b.recorded_at DESC"
    )
    live = live.join(first, on="account_id", how="anti")
    current = warehouse.sql(f"SELECT DISTINCT ON (account_id) * FROM openings WHERE {mine} ORDER BY account_id, recorded_at DESC")
    new = ledger.openings(first, live, _asserted(accounts, config), current)
    commit.insert(OPENINGS, new)
    superseded = new.join(current, on="account_id", how="semi")
    dirty.since_ever(warehouse, commit, "ACCOUNT", superseded["account_id"], "opening changed")


def _asserted(accounts: pl.DataFrame, config: Config) -> pl.DataFrame:
    rows = [
        {"portfolio": o.portfolio, "native_code": o.native_code, "amount": o.amount, "opened_at": o.at, "document": o.document}
        for o in config.opening
    ]
    schema = {"portfolio": TEXT, "native_code": TEXT, "amount": MONEY, "opened_at": INSTANT, "document": TEXT}
    return accounts.select("account_id", "portfolio", "native_code").join(
        pl.DataFrame(rows, schema=schema), on=["portfolio", "native_code"]
    )
