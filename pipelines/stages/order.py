"""Rows of a walk → the same rows, those that share an instant in the order that the chain proves. No I/O, no clock.

Rows that chain as they are shown, through balances that are all different, stay as they are, all at once; only instants that do
not are ordered one by one (`paths`). Where ids number the rows they order them first, and the chain must agree.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any

import polars as pl

from pipelines.stages import paths
from pipelines.tables import INT, MONEY, TEXT

OUTGOING = ("withdraw", "withdrawal", "to_sub", "fee")
AMBIGUOUS = "AMBIGUOUS_ORDER"
IDS_DISAGREE = "IDS_DISAGREE"
"""The chain orders an instant otherwise than its ids do."""
BEFORE = ("balance_before", "pending_before")

_MARKS = pl.Series([None, AMBIGUOUS, IDS_DISAGREE], dtype=TEXT)
_INSTANT = ("account_id", "occurred_at")
_MOVES = {"at": pl.UInt32, "place": pl.UInt32, "mark": pl.UInt8}
_Row = dict[str, Any]
_Node = tuple[Decimal, Decimal | None]


def ordered(rows: pl.DataFrame, before: pl.DataFrame, signed: bool) -> pl.DataFrame:
    """`rows` oldest first, as walked → by account and instant, with what lay before each, `position` in its instant and `mark`.

    `before`: account_id, balance_before, pending_before as known ahead of the rows; absent where nothing is known.
    `signed`: the venue signs its amounts for certain.
    """
    number = [pl.col("event_id").cast(pl.Int128)] if _numbered(rows) else []
    shown = rows.with_columns(pending_amount=pl.lit(None, MONEY)).sort(*_INSTANT, *number, maintain_order=True)
    linked = _linked(shown, before, signed)
    moves = _moves(linked, signed)
    if not moves.is_empty():
        place = pl.int_range(shown.height, dtype=pl.UInt32, eager=True).scatter(moves["at"], moves["place"])
        marks = pl.Series([0], dtype=pl.UInt8).new_from_index(0, shown.height).scatter(moves["place"], moves["mark"])
        linked = _linked(shown.with_columns(place=place).sort("place"), before, signed).with_columns(mark=_MARKS.gather(marks))
    return linked.select(*rows.columns, *BEFORE, position=_position(), mark="mark" if "mark" in linked.columns else pl.lit(None, TEXT))


def marks(postings: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """account_id, occurred_at, mark: instants of postings, as they lie in the chain, that it allows in several orders."""
    moves = _moves(_linked(postings, before, signed=True), signed=True)
    where = postings.select(pl.col(_INSTANT).gather(moves["at"]))
    return where.with_columns(mark=_MARKS.gather(moves["mark"])).drop_nulls("mark").unique(maintain_order=True)


def _numbered(rows: pl.DataFrame) -> bool:
    return rows.height > 0 and rows["event_id"].cast(pl.Int128, strict=False).null_count() == 0


def _linked(shown: pl.DataFrame, before: pl.DataFrame, signed: bool) -> pl.DataFrame:
    """Rows in order with their number, what lay before each, whether they are `tied` to a neighbour, `broken` from the one before."""
    first = pl.col("account_id").ne_missing(pl.col("account_id").shift(1))
    new = first | (pl.col("occurred_at") != pl.col("occurred_at").shift(1))
    return (
        shown.join(before.select("account_id", *BEFORE), on="account_id", how="left", maintain_order="left")
        .with_row_index("at")
        .with_columns(
            first=first,
            new=new.fill_null(True),
            balance_before=pl.when(first).then("balance_before").otherwise(pl.col("balance_after").shift(1)),
            pending_before=pl.when(first).then("pending_before").otherwise(pl.col("pending_after").shift(1)),
        )
        .with_columns(
            tied=~pl.col("new") | ~pl.col("new").shift(-1, fill_value=True),
            broken=~_links(signed).fill_null(True),
        )
    )


def _links(signed: bool) -> pl.Expr:
    """The row begins where the row before it ended; null where nothing is known of that."""
    balance = pl.col("balance_after") - pl.col("balance_before")
    pending = pl.coalesce(pl.col("pending_after") - pl.col("pending_before"), pl.lit(0, MONEY))
    if signed:
        return (balance == pl.col("amount")) & (pending == pl.coalesce("pending_amount", pending))
    size, word = pl.col("amount").abs(), pl.col("event_type")
    alone = (balance.abs() == size) & (pending == 0) & (word != "deposit_release")
    released = (balance == size) & (pending == -size) & (word == "deposit_release")
    return alone | released | (balance == 0) & ((pending == size) | (size == 0)) & (word == "deposit")


def _position() -> pl.Expr:
    """How many rows of its instant lie before a row."""
    at = pl.col("at").cast(INT)
    return at - pl.when("new").then(at).forward_fill()


def _moves(linked: pl.DataFrame, signed: bool) -> pl.DataFrame:
    """Rows of instants that had to be ordered: where they lay, where they belong, the number of their mark."""
    group = pl.col("new").cum_sum()
    doubtful = linked.select(group=group, doubtful=_doubtful(linked)).filter("doubtful")["group"].unique()
    if doubtful.is_empty():
        return pl.DataFrame(schema=_MOVES)
    following = [pl.col(c).shift(-1).alias(f"next_{c}") for c in (*_read(linked), "account_id", "new", "tied")]
    rows = linked.with_columns(*following, group=group).filter(pl.col("group").is_in(doubtful.implode()))
    return pl.DataFrame(list(_in_order(rows, signed)), schema=_MOVES, orient="row")


def _read(frame: pl.DataFrame) -> list[str]:
    wanted = ("event_type", "amount", "balance_after", "pending_after", "pending_amount")
    return [c for c in wanted if c in frame.columns]


def _doubtful(linked: pl.DataFrame) -> pl.Series:
    """Rows whose instant may be ordered otherwise: it does not chain as shown, or nothing but the chain orders it and it comes back
    to a balance it left."""
    tied = linked["tied"]
    broken = linked["broken"] & tied | (linked["broken"].shift(-1, fill_value=False) & tied)
    unknown = linked["first"] & tied & linked["balance_before"].is_null()
    return broken | unknown | _comes_back(linked)


def _comes_back(linked: pl.DataFrame) -> pl.Series:
    """Rows after which a tied instant is at a balance where it has been before."""
    columns = ("at", "account_id", "occurred_at", "balance_after", "pending_after", "event_id")
    ties = linked.lazy().filter("tied").filter(pl.col("event_id").cast(pl.Int128, strict=False).is_null())
    starts = ties.filter("new").select("at", "account_id", "occurred_at", balance_after="balance_before", pending_after="pending_before")
    nodes = pl.concat([ties.select(columns[:-1]), starts])
    found = nodes.filter(pl.struct(columns[1:-1]).is_duplicated()).select("at").collect()["at"].unique()
    return pl.Series([False]).new_from_index(0, linked.height).scatter(found, True)


def _in_order(rows: pl.DataFrame, signed: bool) -> Iterator[tuple[int, int, int]]:
    """(row, place, mark) of every row; an instant begins where the one before it, if that was ordered too, has ended."""
    ended: tuple[object, int, _Node | None] = (None, 0, None)
    for group, tied in groupby(rows.iter_rows(named=True), itemgetter("group")):
        events = list(tied)
        account, first = events[0]["account_id"], events[0]["at"]
        start = ended[2] if ended[:2] == (account, group - 1) else _before(events[0])
        found = paths.path(_edges(events, signed), start, _ends(events[-1], signed))
        last = events[found.order[-1]]
        ended = (account, group, (last["balance_after"], last["pending_after"]))
        yield from ((events[n]["at"], first + k, _mark(events, found)) for k, n in enumerate(found.order))


def _mark(events: list[_Row], found: paths.Path) -> int:
    """An instant of one event has one order; ids order what the chain does not."""
    if len(events) == 1:
        return 0
    if all(event["event_id"] is not None and event["event_id"].isdigit() for event in events):
        return 2 if found.whole and found.order != sorted(found.order) else 0
    return 0 if found.only else 1


def _before(event: _Row) -> _Node | None:
    return None if event["balance_before"] is None else (event["balance_before"], _settled(event))


def _settled(event: _Row) -> Decimal | None:
    """What was pending before; nothing was, where the venue reports it and nothing is known of it."""
    pending: Decimal | None = event["pending_before"]
    return Decimal(0) if pending is None and event["pending_after"] is not None else pending


def _edges(events: list[_Row], signed: bool) -> list[paths.Event]:
    return [
        paths.Event(n, _befores(e, signed), (e["balance_after"], e["pending_after"]), (e["event_type"], e["event_id"]))
        for n, e in enumerate(events)
    ]


def _ends(last: _Row, signed: bool) -> Collection[_Node]:
    """Where the event after an instant may begin, if it stands alone and so is sure to be the next."""
    if last["next_account_id"] != last["account_id"] or last["next_tied"]:
        return ()
    return _befores({name: last[f"next_{name}"] for name in ("event_type", "amount", "balance_after", "pending_after")}, signed)


def _befores(event: _Row, signed: bool) -> tuple[_Node, ...]:
    """Balance and pending before an event, likeliest first: its word decides, then the ways it could have moved them."""
    amount, balance, pending = event["amount"], event["balance_after"], event["pending_after"]
    if signed:
        return ((balance - amount, pending if pending is None else pending - (event.get("pending_amount") or 0)),)
    size = abs(amount)
    likely = -size if amount < 0 or event["event_type"] in OUTGOING else size
    plain = ((balance - likely, pending), (balance + likely, pending))
    if pending is None:
        return plain
    release, deposit = (balance - size, pending + size), (balance, pending - size if size else Decimal(0))
    by_word = {"deposit_release": (release,), "deposit": (deposit,)}.get(event["event_type"], ())
    return tuple(dict.fromkeys((*by_word, *plain, deposit, release)))
