"""The book at an instant → what is on a statement of it, from `book` and `evidence`.

How it reads is `exports`' work; the files it is written to are `filing`'s, and the numbers of those that leave the house `issuing`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Literal
from zoneinfo import ZoneInfo

import polars as pl

from pipelines import __version__
from pipelines.book import Reader, Snapshot, at, instant_of
from pipelines.errors import UsageError
from pipelines.evidence import Evidence
from pipelines.exports import text
from pipelines.exports.display import instant
from pipelines.exports.model import DRAFT, Heading, Mark, RollForward, Statement
from pipelines.stages import below, late, rollforward, totals
from pipelines.stages import statements as lines
from pipelines.tables import CALENDARS, PORTFOLIOS, PUBLICATIONS

By = Literal["portfolio", "asset"]

_LIVE = """
    WITH live AS (
        SELECT portfolio, native_code, scope, amount, asked_at FROM venue_balances WHERE recorded_at <= $1
        QUALIFY row_number() OVER (PARTITION BY portfolio, native_code, scope ORDER BY recorded_at DESC, asked_at DESC) = 1
    ), tied AS (
        SELECT portfolio, native_code, theirs FROM tie_outs WHERE recorded_at <= $1 AND kind = 'BALANCE'
        QUALIFY row_number() OVER (PARTITION BY portfolio, native_code ORDER BY recorded_at DESC) = 1 AND outcome <> 'DIFFERS'
    ), main AS (SELECT portfolio, native_code, amount AS main FROM live WHERE scope = 'account')
    SELECT portfolio, native_code,
        CASE WHEN scope = 'sub_accounts' AND amount <> 0 AND theirs = coalesce(main, 0) + amount THEN 'booked' ELSE scope END AS scope,
        amount, asked_at
    FROM live LEFT JOIN main USING (portfolio, native_code) LEFT JOIN tied USING (portfolio, native_code)
    WHERE scope <> 'account' ORDER BY portfolio, scope, native_code
"""


@dataclass(frozen=True)
class Question:
    """What is asked: equal questions of equal publications have equal answers."""

    as_of: datetime
    known_at: datetime | None = None
    portfolio: str | None = None
    by: By = "portfolio"
    calendar: str = "utc"
    since: datetime | None = None
    entity: str | None = None

    @property
    def scope(self) -> str:
        return self.portfolio or self.entity or "all"

    @property
    def scope_of(self) -> str:
        return "portfolio" if self.portfolio else "entity" if self.entity else "all"


@dataclass(frozen=True)
class Answer:
    """One question put to one publication; each part is found when a form needs it.

    `opened` tells the beginning of a roll-forward where its days were locked with another publication.
    """

    source: Reader
    question: Question
    mark: Mark = DRAFT
    superseded: Mapping[str, bytes] | None = None  # the files of the bundle it takes the place of
    opened: Reader | None = None
    inbox: pl.DataFrame | None = None  # its issues, where more was decided since it was published
    reports: pl.DataFrame | None = None  # what venues' own reports that are kept say of it

    @cached_property
    def snapshot(self) -> Snapshot:
        q = self.question
        return at(self.source, q.as_of, q.known_at, q.portfolio, q.entity)

    @cached_property
    def evidence(self) -> Evidence:
        return Evidence(self.source, self.snapshot.as_of, self.snapshot.known_at, self.question.portfolio, self.question.entity)

    @cached_property
    def heading(self) -> Heading:
        s, q = self.snapshot, self.question
        close = closing_words(self.source, s.as_of, q.calendar)
        policies = hashlib.sha256(text.csv(self.evidence.policies).encode()).hexdigest()
        made_by = f"closebook {__version__}"
        return Heading(q.scope, q.scope_of, s.as_of, s.known_at, close, s.publication_id, made_by, policies, self.mark)

    @cached_property
    def statement(self) -> Statement:
        s, e = self.snapshot, self.evidence
        printed_rows = totals.printed(s.rows.lazy()).collect()
        return Statement(
            heading=self.heading,
            by=self.question.by,
            accounts=printed_rows,
            assets=totals.printed(s.by_asset().lazy()).collect(),
            classes=dict(e.accounts.filter(pl.col("asset").is_not_null()).select("asset", "asset_class").iter_rows()),
            totals=self.totals,
            subtotals=s.subtotals(),
            unpriced=s.unpriced(),
            zero=s.rows.filter(pl.col("balance") == 0).select("entity", "venue", "portfolio", "native_code", "asset"),
            portfolios=self._portfolios(),
            live=self._live(),
            prices=e.prices,
            policies=e.policies,
            controls=self._controls(),
            history=e.history(self.question.calendar),
            in_transit=e.in_transit,
            adjusted=e.adjusted,
            second_totals=below.second_totals(self.totals.lazy(), in_transit=e.in_transit.lazy(), adjusted=e.adjusted.lazy()).collect(),
        )

    @cached_property
    def totals(self) -> pl.DataFrame:
        return totals.totals((self.snapshot.rows if self.question.by == "portfolio" else self.snapshot.by_asset()).lazy()).collect()

    @cached_property
    def roll_forward(self) -> RollForward:
        since, e = self._since(), self.evidence
        facts = (e.entries, e.opened, e.accounts.lazy(), since, e.as_of)
        rows = rollforward.rollforward(*facts, _with_ids(e.adjustments, e.accounts))
        issued = rollforward.ends_of(rows.clear() if self.issued is None else _moved(self.issued, since))
        if self.issued is not None:
            rows = rollforward.from_issued(rows, issued)
        rollforward.require_identity(rows)
        bridge = rollforward.bridge(rows.lazy(), _prices_of_accounts(self.issued or e, since), e.prices_at(e.as_of))
        amounts = {f"printed_{name}": name for name in rollforward.BRIDGE_VALUES}
        return RollForward(
            heading=self.heading,
            since=since,
            opened=closing_words(self.source, since, self.question.calendar),
            rows=rows,
            issued=issued,
            prior=self._prior(rows, since),
            adjustments=e.adjustments,
            columns=tuple(rollforward.columns(rows)),
            bridge=totals.printed(bridge, **amounts).collect(),
            bridge_totals=totals.printed(rollforward.bridge_totals(bridge), **amounts).collect(),
            own_transfers=rollforward.own_transfers(rows.lazy()).collect(),
            annex=rollforward.annex(*facts).collect(),
        )

    @cached_property
    def issued(self) -> Evidence | None:
        """The evidence of the opening, where it was locked with another publication."""
        if self.opened is None or self.opened.read(PUBLICATIONS).equals(self.source.read(PUBLICATIONS)):
            return None
        known_through = self.opened.read(PUBLICATIONS)["known_through"][0]
        return Evidence(self.opened, self._since(), known_through, self.question.portfolio, self.question.entity)

    def _prior(self, rows: pl.DataFrame, since: datetime) -> pl.DataFrame:
        """What adds up to `prior_period`: entries of which something else is known than when it was locked, and openings that moved."""
        now = self.evidence
        then = now.entries if self.issued is None else self.issued.entries
        before = pl.col("occurred_at") < since
        listed = now.named(late.entries(then.filter(before), now.entries.filter(before))).collect()
        return pl.concat([listed, late.rest(rows, listed, since, self.snapshot.known_at)], how="diagonal")

    def _since(self) -> datetime:
        since = self.question.since
        if since is None or since >= self.question.as_of:
            raise UsageError("A roll-forward leads from an earlier instant to a later one.", "Give --from an instant before the as-of.")
        return since

    def _portfolios(self) -> pl.DataFrame:
        """The portfolios in scope that were configured at K, each with what its accounts are read through."""
        known = self.source.read(PORTFOLIOS, "recorded_at <= ?", self.snapshot.known_at)
        read = self.evidence.read_through.group_by("portfolio").agg(pl.col("read_through").min())
        return (
            known.filter(self._in_scope())
            .join(read, on="portfolio", how="left")
            .select("entity", "venue", "portfolio", "venue_id", "read_through")
            .sort("entity", "venue", "portfolio")
        )

    def _live(self) -> pl.DataFrame:
        owners = self.source.read(PORTFOLIOS).select("portfolio", "entity")
        newest = self.source.sql(_LIVE, self.snapshot.known_at).join(owners, on="portfolio", how="left", maintain_order="left")
        return newest.filter(pl.col("amount") != 0, self._in_scope()).drop("entity")

    def _in_scope(self) -> pl.Expr:
        q = self.question
        return pl.col(q.scope_of) == q.scope if q.scope_of != "all" else pl.lit(True)

    def _agrees(self) -> bool:
        """Whether both groupings have the same totals."""
        both = [totals.totals(rows.lazy()).collect() for rows in (self.snapshot.rows, self.snapshot.by_asset())]
        one, other = (t.filter(pl.col("portfolio").is_null()).select("entity", "currency", "price_basis", "value") for t in both)
        return one.equals(other)

    def _controls(self) -> Mapping[str, int | str]:
        """Counts by which a copy of the statement is checked."""
        rows, known = self.snapshot.rows, self.source.read(PORTFOLIOS, "recorded_at <= ?", self.snapshot.known_at).height
        counts = {
            f"{kind} {word}": int((rows[f"{kind}_status"] == word).sum()) for kind in ("balance", "movements") for word in lines.WORST_LAST
        }
        return {
            "portfolios": f"{self._portfolios().height} of {known} known portfolios",
            "accounts": rows.height,
            "entries before the instant": self.evidence.entries.select(pl.len()).collect().item(),
            "priced": int(rows["value"].is_not_null().sum()),
            "unpriced": self.snapshot.unpriced().height,
            "at zero": int((rows["balance"] == 0).sum()),
            "without a balance": rows["balance"].null_count(),
            "in transit": self.evidence.in_transit.height,
            "adjusted": self.evidence.adjusted.height,
            "by asset agrees with by portfolio": "yes" if self._agrees() else "no",
            "marked": int(rows["status_reasons"].is_not_null().sum()),
            **{name: count for name, count in counts.items() if count},
            "refused rows in suspense": self.evidence.suspense.height,
            "rows sha256": hashlib.sha256(text.csv(rows).encode()).hexdigest(),
        }


def _moved(evidence: Evidence, until: datetime) -> pl.DataFrame:
    """What accounts ended with at an instant."""
    return rollforward.rollforward(evidence.entries, evidence.opened, evidence.accounts.lazy(), until, until)


def _prices_of_accounts(evidence: Evidence, moment: datetime) -> pl.LazyFrame:
    """portfolio, native_code → price of the asset that it was labelled then."""
    named = evidence.accounts.lazy().select("portfolio", "native_code", "asset")
    return named.join(evidence.prices_at(moment).select("asset", "price", "currency", "reason"), on="asset", how="left")


def _with_ids(named: pl.DataFrame, accounts: pl.DataFrame) -> pl.LazyFrame:
    return named.lazy().join(accounts.lazy().select("account_id", "portfolio", "native_code"), on=["portfolio", "native_code"])


def closing_words(source: Reader, as_of: datetime, calendar: str) -> str:
    """The close of a day where one of the calendar ends at the instant; else only what is in and what is not."""
    entries, day = f"all entries before {instant(as_of)}", day_ending(source, as_of, calendar)
    if day is None:
        return entries[0].upper() + entries[1:]
    found = source.read(CALENDARS, "calendar = ?", calendar).row(0, named=True)
    where = found["timezone"] + (f" {found['cut_off']}" if found["cut_off"] != "00:00" else "")
    return f"Close of {day.day} {day:%b %Y} ({where}): {entries}"


def day_ending(source: Reader, as_of: datetime, calendar: str) -> date | None:
    """The day of the calendar that ends at the instant."""
    for zone in source.read(CALENDARS, "calendar = ?", calendar)["timezone"]:
        local = as_of.astimezone(ZoneInfo(zone)).date()
        return next((day for day in (local, local - timedelta(days=1)) if instant_of(source, day, calendar) == as_of), None)
    return None


def whose(source: Reader, portfolio: str | None, entity: str | None) -> str | None:
    """The entity a statement is of: the one that is named; the only one; none where a portfolio is named, or all are meant."""
    if portfolio and entity:
        raise UsageError("Whose statement?", "Give --portfolio or --entity, not both.")
    entities = source.read(PORTFOLIOS)["entity"].unique()
    return entities[0] if entity is None and portfolio is None and len(entities) == 1 else entity


def month(source: Reader, first: date, calendar: str) -> tuple[datetime, datetime]:
    """The instants at which the month that begins on `first` opens and closes."""
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return instant_of(source, first - timedelta(days=1), calendar), instant_of(source, last, calendar)
