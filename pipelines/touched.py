"""Results of earlier checks → since when rules must look again; a rule → the same rule over what was written since then.

What a rule says is quality's and sql/checks' work. A rule names tables as if they were whole; where it needs more than what was
written (the day before), it says `main.<table>`.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

DAILY = ("daily_balances", "daily_prices", "daily_values")


def since(results: pl.DataFrame, rules: frozenset[str], at: datetime) -> datetime | None:
    """Up to which instant blocking rules have proven the book; None: they look at everything.

    They do so on the first check, in the first of each week (ISO, UTC), where a rule is new, and until a whole check passed.
    """
    sound = (
        results.filter(pl.col("weight") == "BLOCK")
        .group_by("publication_id", "since", "through")
        .agg(
            pl.col("passed").all(),
            whole=pl.col("since").is_null().all(),
            rules=pl.col("rule").filter("passed"),
            at=pl.col("recorded_at").max(),
        )
        .filter("passed", pl.col("rules").map_elements(lambda names: rules <= set(names), return_dtype=pl.Boolean))
    )
    whole = sound.filter("whole")["through"].max()
    if whole is None or _week(sound.filter("whole")["at"].max()) != _week(at):  # type: ignore[arg-type]  # instants
        return None
    proven: datetime = sound["through"].max()  # type: ignore[assignment]  # instants
    return proven


def _week(at: datetime) -> tuple[int, int]:
    return at.isocalendar()[:2]


def narrowed(sql: str, since: datetime, onwards: bool = False) -> str:
    """The same SELECT, where closed days, daily tables, postings and breaks are those that were written after `since`.

    `onwards`: postings and breaks also of what follows a new one, and the posting that the first of them follows.
    """
    moment = f"TIMESTAMPTZ '{since.isoformat()}'"
    return f"{_DAYS.format(moment=moment)}{(_ONWARDS if onwards else _FACTS).format(moment=moment)}\nSELECT * FROM (\n{sql}\n)"


_DAYS = """
WITH touched AS MATERIALIZED (SELECT calendar, day FROM main.closed_days WHERE touched_at > {moment}),
closed_days AS NOT MATERIALIZED (FROM main.closed_days WHERE touched_at > {moment}),
daily_balances AS NOT MATERIALIZED (FROM main.daily_balances SEMI JOIN touched USING (calendar, day)),
daily_prices AS NOT MATERIALIZED (FROM main.daily_prices SEMI JOIN touched USING (calendar, day)),
daily_values AS NOT MATERIALIZED (FROM main.daily_values SEMI JOIN touched USING (calendar, day))"""
_FACTS = """,
postings AS NOT MATERIALIZED (FROM main.postings WHERE recorded_at > {moment} OR retired_at > {moment}),
chain_breaks AS NOT MATERIALIZED (FROM main.chain_breaks WHERE recorded_at > {moment} OR retired_at > {moment})"""
_ONWARDS = """,
fresh AS (
    SELECT account_id, min(since) AS since FROM (
        SELECT account_id, occurred_at AS since FROM main.postings WHERE recorded_at > {moment} OR retired_at > {moment}
        UNION ALL SELECT account_id, TIMESTAMPTZ '-infinity' FROM main.openings WHERE recorded_at > {moment}
        UNION ALL SELECT account_id, TIMESTAMPTZ '-infinity' FROM main.chain_breaks WHERE recorded_at > {moment} OR retired_at > {moment}
    ) GROUP BY account_id
),
seams AS MATERIALIZED ( -- the posting before the first that is new
    SELECT f.account_id, max((p.occurred_at, p.position)) FILTER (p.account_id IS NOT NULL) AS seam
    FROM fresh AS f LEFT JOIN main.postings AS p ON p.account_id = f.account_id AND p.occurred_at < f.since AND p.retired_at IS NULL
    GROUP BY f.account_id
),
postings AS NOT MATERIALIZED (
    SELECT p.* FROM main.postings AS p JOIN seams USING (account_id) WHERE seam IS NULL OR (p.occurred_at, p.position) >= seam
),
chain_breaks AS NOT MATERIALIZED (
    SELECT b.* FROM main.chain_breaks AS b JOIN seams USING (account_id) WHERE seam IS NULL OR (b.until, b.until_position) > seam
)"""
