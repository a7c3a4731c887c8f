"""An answer → what was proved of it: population, accounts, exceptions, prices, checks. Judged elsewhere, gathered here."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from pipelines.exports.model import Completeness
from pipelines.stages import comparisons, known, proofs
from pipelines.statements import Answer
from pipelines.tables import CANDLE_COVERAGE, CANDLES, CHAIN_BREAKS, CHECK_RESULTS, PORTFOLIOS, TIE_OUTS

EXCEPTIONS = (
    "issue", "matter", "portfolio", "native_code", "since", "until", "amount", "says", "first_seen", "owner", "state", "accepted_by",
    "accepted_because",
)  # fmt: skip
_ISSUES = "SELECT * FROM issues ORDER BY matter, portfolio, native_code, since, issue"


def completeness(answer: Answer) -> Completeness:
    """The report that stands beside a statement."""
    evidence = answer.evidence
    return Completeness(
        heading=answer.heading,
        population=_population(answer),
        not_configured=_not_configured(answer),
        live=answer.statement.live,
        accounts=_accounts(answer),
        exceptions=_exceptions(answer),
        prices=_prices(answer),
        reports=_reports(answer),
        checks=_checks(answer),
        suspense=evidence.suspense.height,
    )


def _population(answer: Answer) -> pl.DataFrame:
    """Portfolios known at K; those outside the scope are counted by the statement's control totals."""
    read = answer.evidence.read_through.group_by("portfolio").agg(pl.col("read_through").min())
    held = answer.evidence.accounts.group_by("portfolio").agg(accounts=pl.len())
    mine = answer.statement.portfolios.drop("read_through")
    since = answer.source.read(PORTFOLIOS).select("portfolio", known_since="recorded_at")
    for more in (since, held, read):
        mine = mine.join(more, on="portfolio", how="left", maintain_order="left")
    return mine.with_columns(pl.col("accounts").fill_null(0))


def _not_configured(answer: Answer) -> pl.DataFrame:
    """As the publication has it, which is told for its own time."""
    mine = answer.statement.portfolios["portfolio"].to_list()
    found = answer.source.sql("SELECT venue, venue_id, name, seen_by, first_seen FROM population WHERE portfolio IS NULL ORDER BY ALL")
    return found.filter(pl.col("seen_by").is_in(mine))


def _accounts(answer: Answer) -> pl.DataFrame:
    e = answer.evidence
    breaks = known.facts(answer.source.read(CHAIN_BREAKS, "until < ?", e.as_of).lazy(), e.known_at)
    tied = known.newest(answer.source.read(TIE_OUTS).lazy(), ["portfolio", "native_code", "kind"], e.known_at)
    return proofs.accounts(answer.snapshot.rows.lazy(), e.accounts.lazy(), e.opened, e.entries, breaks, tied).collect()


def _exceptions(answer: Answer) -> pl.DataFrame:
    """What the inbox says of these portfolios up to the instant, with what was accepted when this was issued."""
    found = answer.source.sql(_ISSUES) if answer.inbox is None else answer.inbox
    mine = set(answer.statement.portfolios["portfolio"])
    assets = set(answer.statement.rows["asset"] if answer.question.by == "asset" else answer.snapshot.rows["asset"])
    ours = pl.col("portfolio").is_in(mine) | (pl.col("portfolio").is_null() & pl.col("native_code").is_in(assets - {None}))
    return found.filter(ours, pl.col("since").is_null() | (pl.col("since") <= answer.question.as_of)).select(EXCEPTIONS)


def _prices(answer: Answer) -> pl.DataFrame:
    e, source = answer.evidence, answer.source
    day = "start >= ? AND start <= ?"
    window = (e.as_of - timedelta(hours=24), e.as_of - timedelta(hours=1))
    versions = known.recorded(source.read(CANDLES, day, *window).lazy(), e.known_at)
    coverage = known.recorded(source.read(CANDLE_COVERAGE).lazy(), e.known_at)
    markets = e.prices.lazy().select("asset", "product_id").drop_nulls()
    return proofs.prices(e.prices.lazy(), markets, e.candles.lazy(), coverage, versions, e.as_of).collect()


def _reports(answer: Answer) -> pl.DataFrame:
    if answer.reports is None:
        return comparisons.counted([])
    return answer.reports.filter(pl.col("portfolio").is_in(answer.statement.portfolios["portfolio"].implode())).sort("portfolio")


def _checks(answer: Answer) -> pl.DataFrame:
    """The newest results the publication carries: those of the candidate before it, where its own came after it was built."""
    newest = answer.source.read(CHECK_RESULTS).filter(pl.col("publication_id") == pl.col("publication_id").max())
    return newest.select("publication_id", "rule", "weight", "looked_at", "violations", "passed", "message").sort("weight", "rule")
