"""Facts recorded since the last proof → chain_breaks, tie_outs, completeness; what they change becomes dirty.

Only accounts that changed are proved again, from their first change on, in slices of time. Nothing is threaded through ingest: what
is new is read from the two clocks, so that a proof that was killed is made by the next. What proves what is the stages' work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import polars as pl

from pipelines import dirty
from pipelines.histories import BEGINNING, NEVER, Reader, ahead, among, moment
from pipelines.stages import chain, completeness, order, tie_outs, transfers
from pipelines.tables import CHAIN_BREAKS, COMPLETENESS, INSTANT, INT, MONEY, TEXT, TIE_OUTS, TRANSFERS, Table
from pipelines.warehouse import Commit, Warehouse

SLICE = 1_000_000
"""Postings in hand at once."""
LATE = timedelta(minutes=2)
"""How far the venue's clock may be behind the book's."""
PROOF = "proof"
EVERYBODY = ""
"""All postings there are: nothing to be joined."""
BREAK = [c for c in CHAIN_BREAKS.schema if c not in ("recorded_at", "retired_at")]
INTERVAL = [c for c in COMPLETENESS.schema if c not in ("recorded_at", "retired_at")]

_HOUR = 3_600_000_000
_LINKS = ", ".join(f"postings.{name}" for name in chain.LINKS)
_CHANGED = """
    SELECT account_id, min(since) AS since FROM (
        SELECT account_id, min(occurred_at) AS since FROM postings WHERE recorded_at > {last} OR retired_at > {last} GROUP BY account_id
        UNION ALL SELECT account_id, {beginning} FROM openings WHERE recorded_at > {last}
        UNION ALL SELECT account_id, {never} FROM accounts WHERE recorded_at > {last}
    ) GROUP BY account_id ORDER BY account_id
"""
_STOOD = """
    SELECT account_id, arg_max(occurred_at, (occurred_at, position)) AS occurred_at, arg_max(position, (occurred_at, position)) AS position,
        arg_max(balance_after, (occurred_at, position)) AS balance_after,
        arg_max_null(pending_after, (occurred_at, position)) AS pending_after
    FROM postings JOIN {changed} USING (account_id) WHERE retired_at IS NULL AND occurred_at < since AND occurred_at < {latest}
    GROUP BY account_id
"""
_OPENED = """
    SELECT DISTINCT ON (account_id) account_id, opened_at AS occurred_at, -1::INTEGER AS position, amount AS balance_after,
        pending_amount AS pending_after, kind
    FROM openings ORDER BY account_id, recorded_at DESC
"""
_ENTRIES = """
    SELECT account_id, count(*) AS entries, max(occurred_at) AS last_at,
        coalesce(count(*) > 1 AND count(n) = count(*) AND max(n) - min(n) + 1 = count(*), false) AS gapless
    FROM (
        SELECT account_id, occurred_at, TRY_CAST(CASE WHEN event_id < ':' THEN event_id END AS BIGINT) AS n
        FROM postings WHERE retired_at IS NULL AND {mine}
    ) GROUP BY account_id
"""
_TIED = """
    SELECT account_id, kind, outcome FROM (
        SELECT DISTINCT ON (portfolio, native_code, kind) * FROM tie_outs ORDER BY portfolio, native_code, kind, recorded_at DESC
    ) AS t JOIN accounts AS a ON a.portfolio = t.portfolio AND (a.native_code = t.native_code OR t.native_code = '') WHERE {mine}
"""


def catch_up(warehouse: Warehouse) -> None:
    """Prove what was recorded since the last proof."""
    last = _last(warehouse)
    changed = warehouse.sql(_CHANGED.format(last=moment(last), beginning=moment(BEGINNING), never=moment(NEVER)))
    live, renamed = _live(warehouse, last), _renamed(warehouse, last)
    if changed.is_empty() and live.is_empty() and not renamed:
        return
    with warehouse.commit(PROOF) as commit:
        _prove_chains(warehouse, commit, changed.cast({"account_id": INT, "since": INSTANT}))
        moved = _tie_out(warehouse, commit, live)
        whole = _recounted(warehouse, last)
        _complete(warehouse, commit, pl.concat([changed["account_id"].cast(INT), moved, whole]).unique().sort())
        if changed.height or renamed:
            _match_transfers(warehouse, commit)


def _renamed(warehouse: Warehouse, last: datetime) -> bool:
    """An account's label, or whose books a portfolio is in, may be another since."""
    found = warehouse.sql(
        f"SELECT 1 FROM commits WHERE what = 'configuration' AND changed > 0 AND recorded_at > {moment(last)} "
        f"UNION ALL SELECT 1 FROM past_labels WHERE retired_at > {moment(last)} LIMIT 1"
    )
    return not found.is_empty()


def _last(warehouse: Warehouse) -> datetime:
    found: datetime | None = warehouse.sql("SELECT max(recorded_at) AS at FROM commits WHERE what = ?", PROOF)["at"][0]
    return found or BEGINNING


def _prove_chains(warehouse: Warehouse, commit: Commit, changed: pl.DataFrame) -> None:
    touched = changed.filter(pl.col("since") < NEVER)
    if touched.is_empty():
        return
    found = pl.concat([pl.DataFrame(schema=CHAIN_BREAKS.schema).select(BREAK), *breaks(warehouse, touched)])
    known = warehouse.read(CHAIN_BREAKS, f"retired_at IS NULL AND {among(touched['account_id'])}")
    window = (
        known.join(touched, on="account_id", maintain_order="left").filter(pl.col("until") >= pl.col("since_right")).select(known.columns)
    )
    _replace(commit, CHAIN_BREAKS, BREAK, window, found)


def breaks(source: Reader, changed: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Breaks of these accounts (account_id, since) from their instant on, slice by slice."""
    firsts = source.sql("SELECT account_id, min(occurred_at) AS first FROM postings WHERE retired_at IS NULL GROUP BY account_id")
    touched = changed.join(firsts, on="account_id")
    everybody = touched.height == firsts.height and touched.filter(pl.col("since") > pl.col("first")).is_empty()
    whose = EVERYBODY if everybody else _among(changed)
    opened = source.sql(_OPENED).select(chain.STANDING.names()).cast(chain.STANDING)
    stood = opened.clear() if everybody else _stood(source, changed).select(chain.STANDING.names()).cast(chain.STANDING)
    mine = changed.select("account_id").join(opened, on="account_id", how="left", maintain_order="left")
    fresh = mine.join(stood, on="account_id", how="anti", maintain_order="left").with_columns(pl.col("position").fill_null(-1))
    standing = pl.concat([fresh, stood]).cast(chain.STANDING).sort("account_id")
    doubts = [pl.DataFrame(schema=chain.DOUBT)]
    for postings in ahead(source.sql(_between(_LINKS, whose, *edges)) for edges in _slices(source, whose)):
        proof = chain.prove(standing, postings)
        standing = proof.standing
        doubts.append(proof.doubts)
        yield proof.breaks.select(BREAK)
    yield _open_orders(source, pl.concat(doubts))


def _stood(source: Reader, changed: pl.DataFrame) -> pl.DataFrame:
    """The last posting of each account before its instant."""
    return source.sql(_STOOD.format(changed=_among(changed), latest=moment(changed["since"].sort()[-1])))


def _among(changed: pl.DataFrame) -> str:
    """The accounts and their instants, as a relation: of whole numbers, for DuckDB takes its time over each literal of another type."""
    rows = ", ".join(f"({account}, {at})" for account, at in changed.select("account_id", pl.col("since").to_physical()).iter_rows())
    return f"(SELECT account_id, make_timestamptz(micros) AS since FROM (VALUES {rows}) AS v(account_id, micros)) AS c"


def _of(whose: str) -> str:
    """Postings of these accounts from their instants on."""
    return "postings" if whose == EVERYBODY else f"postings JOIN {whose} ON postings.account_id = c.account_id AND occurred_at >= since"


def _between(columns: str, whose: str, lower: datetime, upper: datetime) -> str:
    return (
        f"SELECT {columns} FROM {_of(whose)} WHERE retired_at IS NULL AND occurred_at >= {moment(lower)} AND occurred_at < {moment(upper)}"
    )


def _slices(source: Reader, whose: str) -> Iterator[tuple[datetime, datetime]]:
    """Stretches of time, each with a slice of the postings; no instant lies in two of them."""
    counts = f"SELECT epoch_us(occurred_at) // {_HOUR} AS hour, count(*) AS n FROM {_of(whose)} WHERE retired_at IS NULL GROUP BY hour"
    hours = source.sql(f"{counts} ORDER BY hour")
    nth = (pl.col("n").cum_sum() - 1) // SLICE
    full = hours.with_columns(nth=nth).group_by("nth").agg(ends=((pl.col("hour").max() + 1) * _HOUR).cast(INSTANT)).sort("ends")
    lower = BEGINNING
    for upper in full["ends"]:
        yield lower, upper
        lower = upper


def _open_orders(source: Reader, doubts: pl.DataFrame) -> pl.DataFrame:
    """Of the doubtful instants, those whose order the chain leaves open: each is looked at by itself."""
    empty = pl.DataFrame(schema=CHAIN_BREAKS.schema).select(BREAK)
    if doubts.is_empty():
        return empty
    rows = ", ".join(f"({n}, {account}, {moment(at)})" for n, (account, at) in enumerate(doubts.iter_rows()))
    tied = source.sql(
        f"SELECT n::INTEGER AS instant, {_LINKS}, event_id, event_type FROM postings "
        f"JOIN (VALUES {rows}) AS d(n, account_id, occurred_at) USING (account_id, occurred_at) "
        "WHERE retired_at IS NULL ORDER BY n, position"
    )
    firsts = tied.group_by("instant", maintain_order=True).first()
    before = firsts.select(
        account_id="instant",
        balance_before=pl.col("balance_after") - pl.col("amount"),
        pending_before=pl.col("pending_after") - pl.col("pending_amount").fill_null(0),
    )
    marks = order.marks(tied.with_columns(account_id="instant"), before).select(instant="account_id")
    last = tied.group_by("instant", maintain_order=True).last().join(marks, on="instant")
    return last.select(
        "account_id",
        kind=pl.lit("ORDER"),
        since="occurred_at",
        since_position=pl.lit(0, INT),
        until="occurred_at",
        until_position="position",
        missing=pl.lit(0, MONEY),
        **dict.fromkeys(("stood", "moved", "reported"), pl.lit(None, MONEY)),
    ).select(BREAK)


def _match_transfers(warehouse: Warehouse, commit: Commit) -> None:
    legs = warehouse.sql(f"SELECT * FROM postings WHERE retired_at IS NULL AND event_type IN ({', '.join(map(repr, transfers.TYPES))})")
    named = warehouse.sql("SELECT account_id, entity, venue, portfolio, native_code, asset FROM accounts JOIN portfolios USING (portfolio)")
    commit.replace(TRANSFERS, transfers.transfers(legs.lazy(), named.lazy()))


def _live(warehouse: Warehouse, last: datetime) -> pl.DataFrame:
    """Live balances as of the newest reply of each portfolio that was read since, or of which an opening is another now:
    account_id, scope, amount, asked_at, until."""
    reopened = f"SELECT portfolio FROM openings JOIN accounts USING (account_id) WHERE openings.recorded_at > {moment(last)}"
    return warehouse.sql(
        "WITH newest AS (SELECT portfolio, max(asked_at) AS asked_at FROM venue_balances GROUP BY portfolio), "
        "walked AS (SELECT portfolio, max(read_through) AS until, max(recorded_at) AS at, max(asked_at) AS walked_at "
        "FROM pulls WHERE kind = 'ACCOUNT' GROUP BY portfolio) "
        "SELECT account_id, b.portfolio, native_code, scope, amount, b.asked_at, until FROM venue_balances AS b "
        "JOIN newest USING (portfolio, asked_at) JOIN accounts USING (portfolio, native_code) JOIN walked USING (portfolio) "
        f"WHERE scope IN ('account', 'pending', 'sub_accounts') "
        f"AND (walked.at > {moment(last)} OR b.portfolio IN ({reopened})) ORDER BY account_id, scope"
    )


def _tie_out(warehouse: Warehouse, commit: Commit, live: pl.DataFrame) -> pl.Series:
    """Compare live balances with the chain; → accounts of which the outcome is another now."""
    if live.is_empty():
        return pl.Series("account_id", [], INT)
    names = live.select("account_id", "portfolio", "native_code", "asked_at").unique("account_id", maintain_order=True)
    found = tie_outs.tie_outs(live.select("account_id", "scope", "amount", asked_at="until"), _states(warehouse, live))
    rows = found.join(names, on="account_id", maintain_order="left")
    return record(warehouse, commit, rows.drop("account_id")).join(names, on=["portfolio", "native_code"])["account_id"].cast(INT)


def _states(warehouse: Warehouse, live: pl.DataFrame) -> pl.DataFrame:
    """Where accounts stood shortly before the book's time, and after each posting since."""
    cuts = live.select("account_id", since=pl.col("until") - LATE).unique("account_id", maintain_order=True)
    whose = _among(cuts)
    stood = _stood(warehouse, cuts)
    opened = warehouse.sql(_OPENED).join(cuts, on="account_id", how="semi").join(stood, on="account_id", how="anti")
    state = {"balance": pl.col("balance_after"), "pending": pl.col("pending_after")}
    then = pl.concat([frame.select("account_id", occurred_at=pl.lit(None, INSTANT), **state) for frame in (stood, opened)])
    since = warehouse.sql(_between(_LINKS, whose, BEGINNING, NEVER) + " ORDER BY account_id, occurred_at, position")
    return pl.concat([then, since.select("account_id", "occurred_at", **state)]).cast(tie_outs.STATES)


def record(warehouse: Warehouse, commit: Commit, rows: pl.DataFrame) -> pl.DataFrame:
    """Note comparisons that differ from the newest ones; → those of another outcome."""
    newest = warehouse.sql(
        "SELECT DISTINCT ON (portfolio, native_code, kind) * FROM tie_outs ORDER BY portfolio, native_code, kind, recorded_at DESC"
    )
    key = ["portfolio", "native_code", "kind"]
    fresh = rows.join(newest, on=[*key, "theirs", "ours", "outcome"], how="anti", nulls_equal=True, maintain_order="left")
    turned = fresh.join(newest, on=[*key, "outcome"], how="anti", maintain_order="left")
    commit.insert(TIE_OUTS, turned)
    commit.insert(TIE_OUTS, fresh.join(turned, on=key, how="anti", maintain_order="left"), counts=False)
    return turned


def _recounted(warehouse: Warehouse, last: datetime) -> pl.Series:
    """Accounts of portfolios whose entries were counted anew."""
    found = warehouse.sql(
        f"SELECT account_id FROM accounts JOIN tie_outs USING (portfolio) WHERE kind = 'ENTRIES' AND tie_outs.recorded_at > {moment(last)}"
    )
    return found["account_id"].cast(INT)


def _complete(warehouse: Warehouse, commit: Commit, accounts: pl.Series) -> None:
    """Bring completeness of these accounts up to what is known of them."""
    if accounts.is_empty():
        return
    mine = among(accounts)
    known = warehouse.read(COMPLETENESS, f"retired_at IS NULL AND {mine}")
    found = completeness.intervals(
        _facts(warehouse, accounts), warehouse.sql(f"SELECT * FROM chain_breaks WHERE retired_at IS NULL AND {mine}").select(BREAK)
    )
    _replace(commit, COMPLETENESS, INTERVAL, known, found.select(INTERVAL))
    said = [c for c in INTERVAL if c != "until"]
    other = [one.join(two, on=said, how="anti", nulls_equal=True).select(said) for one, two in ((known, found), (found, known))]
    since = pl.concat(other).group_by("account_id").agg(pl.col("since").min())
    dirty.mark(warehouse, commit, "ACCOUNT", since.rename({"account_id": "subject"}), "completeness changed")


def _facts(warehouse: Warehouse, accounts: pl.Series) -> pl.DataFrame:
    mine = among(accounts)
    opened = warehouse.sql(_OPENED).select("account_id", "kind", opened_at="occurred_at")
    entries = warehouse.sql(_ENTRIES.format(mine=mine))
    tied = warehouse.sql(_TIED.format(mine=mine)).cast({"kind": TEXT, "outcome": TEXT})
    told = pl.DataFrame({"account_id": accounts}).join(opened, on="account_id", how="left").join(entries, on="account_id", how="left")
    for name, kind in (("counted", "ENTRIES"), ("tied", "BALANCE"), ("tied_pending", "PENDING")):
        outcome = tied.filter(pl.col("kind") == kind).select("account_id", pl.col("outcome").alias(name))
        told = told.join(outcome.unique("account_id"), on="account_id", how="left")
    return told.with_columns(pl.col("entries").fill_null(0), pl.col("gapless").fill_null(False)).select(
        pl.col(name).cast(dtype) for name, dtype in completeness.ACCOUNT.items()
    )


def _replace(commit: Commit, table: Table, facts: Iterable[str], known: pl.DataFrame, found: pl.DataFrame) -> None:
    """Retire what no longer holds, insert what is new."""
    columns = list(facts)
    commit.retire(table, known.join(found, on=columns, how="anti", nulls_equal=True, maintain_order="left"))
    fresh = found.join(known, on=columns, how="anti", nulls_equal=True, maintain_order="left")
    commit.insert(table, fresh.with_columns(retired_at=pl.lit(None, INSTANT)))
