"""postings + accounts → which moved between own portfolios of an entity, what is still on the way, what was converted. No I/O, no clock.

A leg sent and a leg received are one transfer where the asset is the same, the portfolios are not, and no more is received than was
sent but for a fee. The closest pair is matched first. Knowledge of what was received later may label what was sent before.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import polars as pl

from pipelines.tables import INSTANT, INT, MONEY, TEXT

SENT = {"coinbase": ("transfer",), "pacifica": ("withdraw", "subaccount_transfer"), "cryptofuse": ("withdrawal", "to_sub", "to_master")}
RECEIVED = {
    "coinbase": ("transfer",),
    "pacifica": ("deposit", "deposit_release", "subaccount_transfer"),
    "cryptofuse": ("deposit", "to_sub", "to_master"),
}
TYPES = tuple(sorted({"conversion", *(word for types in (SENT, RECEIVED) for words in types.values() for word in words)}))
"""All types that are looked at."""
OWN = ("subaccount_transfer", "to_sub", "to_master")
"""Types that can be nothing but a transfer between own portfolios, whether or not the other leg is seen."""
CONVERTED = ("USD", "USDC")
"""At Coinbase one for one."""

SKEW = timedelta(minutes=10)  # how far a leg may be received ahead of its sending: clocks of two venues
LONGEST = timedelta(days=7)
FEE = Decimal("0.01")  # of what was sent

LEG = ("entity", "venue", "portfolio", "asset", "account_id", "occurred_at", "position", "event_type", "amount")
TRANSFER = pl.Schema(
    {
        "kind": TEXT,
        "entity": TEXT,
        "asset": TEXT,
        "sent_by": INT,
        "sent_at": INSTANT,
        "sent_position": INT,
        "sent": MONEY,
        "received_by": INT,
        "received_at": INSTANT,
        "received_position": INT,
        "received": MONEY,
        "fee": MONEY,
    }
)
"""One transfer or conversion; a leg without its other one has nulls there, and no fee."""


def transfers(postings: pl.LazyFrame, accounts: pl.LazyFrame) -> pl.DataFrame:
    """Pairs, and own legs that have no other one, by the instant they were sent."""
    names = accounts.select("account_id", "entity", "venue", "portfolio", pl.coalesce("asset", "native_code").alias("asset"))
    legs = postings.join(names, on="account_id", maintain_order="left").filter(pl.col("amount") != 0).select(LEG).collect()
    sent, received = _of(legs, SENT, pl.col("amount") < 0), _of(legs, RECEIVED, pl.col("amount") > 0)
    pairs = _matched(sent, received)
    alone = pl.concat([_alone(sent, pairs, "sent"), _alone(received, pairs, "received")])
    return pl.concat([pairs, _conversions(legs), alone]).sort(pl.coalesce("sent_at", "received_at"), "asset", maintain_order=True)


def in_transit(found: pl.LazyFrame, as_of: pl.Expr) -> pl.LazyFrame:
    """Transfers sent before `as_of` and not received by then; of a leg received alone nothing is on the way."""
    received = pl.col("received_at")
    return found.filter(pl.col("kind") == "TRANSFER", pl.col("sent_at") < as_of, received.is_null() | (received >= as_of))


def _of(legs: pl.DataFrame, types: dict[str, tuple[str, ...]], direction: pl.Expr) -> pl.DataFrame:
    mine = pl.any_horizontal((pl.col("venue") == venue) & pl.col("event_type").is_in(words) for venue, words in types.items())
    return legs.filter(mine & direction).with_columns(size=pl.col("amount").abs()).with_row_index("leg")


def _matched(sent: pl.DataFrame, received: pl.DataFrame) -> pl.DataFrame:
    candidates = pl.concat([_near(sent, received, step) for step in (-2, -1, 0, 1, 2)]).sort(
        "fee", pl.col("delay").abs(), "leg", "leg_in", maintain_order=True
    )
    chosen = list(_greedy(candidates.select("leg", "leg_in")))
    pairs = pl.DataFrame(chosen, schema={"leg": pl.UInt32, "leg_in": pl.UInt32}, orient="row")
    return candidates.join(pairs, on=["leg", "leg_in"], how="semi", maintain_order="left").select(*_pair("TRANSFER"))


def _near(sent: pl.DataFrame, received: pl.DataFrame, step: int) -> pl.DataFrame:
    """Pairs whose amounts lie in hundredths so far apart, and that may be one transfer: a fee of 1 % is just beyond one hundredth."""
    hundredth = (pl.col("size").cast(pl.Float64).log() / 0.01).floor().cast(pl.Int64)
    out = sent.with_columns(near=hundredth)
    into = received.with_columns(near=hundredth + step).rename({c: f"{c}_in" for c in received.columns if c not in ("entity", "asset")})
    delay, fee = pl.col("occurred_at_in") - pl.col("occurred_at"), pl.col("size") - pl.col("size_in")
    return (
        out.join(into, on=["entity", "asset", "near"])
        .with_columns(delay=delay, fee=fee)
        .filter(
            pl.col("portfolio") != pl.col("portfolio_in"),
            pl.col("delay").is_between(-SKEW, LONGEST),
            (pl.col("fee") >= 0) & (pl.col("fee") <= pl.col("size") * pl.lit(FEE, MONEY)),
        )
    )


def _greedy(candidates: pl.DataFrame) -> Iterator[tuple[int, int]]:
    """Pairs in the order given, each leg once."""
    out: set[int] = set()
    into: set[int] = set()
    for one, other in candidates.iter_rows():
        if one not in out and other not in into:
            out.add(one)
            into.add(other)
            yield one, other


def _pair(kind: str) -> list[pl.Expr]:
    return [
        pl.lit(kind).alias("kind"),
        pl.col("entity"),
        pl.col("asset"),
        pl.col("account_id").alias("sent_by"),
        pl.col("occurred_at").alias("sent_at"),
        pl.col("position").alias("sent_position"),
        pl.col("size").alias("sent"),
        pl.col("account_id_in").alias("received_by"),
        pl.col("occurred_at_in").alias("received_at"),
        pl.col("position_in").alias("received_position"),
        pl.col("size_in").alias("received"),
        pl.col("fee").cast(MONEY),
    ]


def _conversions(legs: pl.DataFrame) -> pl.DataFrame:
    """USD and USDC of one portfolio, one against the other at one instant."""
    mine = legs.filter(pl.col("venue") == "coinbase", pl.col("event_type") == "conversion", pl.col("asset").is_in(CONVERTED))
    mine = mine.with_columns(size=pl.col("amount").abs()).with_columns(
        nth=pl.int_range(pl.len()).over("portfolio", "occurred_at", "asset", "amount")
    )
    out, into = mine.filter(pl.col("amount") < 0), mine.filter(pl.col("amount") > 0)
    both = out.join(into, on=["portfolio", "occurred_at", "size", "nth"], suffix="_in", coalesce=False).filter(
        pl.col("asset") != pl.col("asset_in")
    )
    return both.with_columns(fee=pl.lit(0, MONEY)).select(*_pair("CONVERSION"))


def _alone(legs: pl.DataFrame, pairs: pl.DataFrame, side: str) -> pl.DataFrame:
    """Own legs whose other one is not seen."""
    key = {"account_id": f"{side}_by", "occurred_at": f"{side}_at", "position": f"{side}_position"}
    left = legs.filter(pl.col("event_type").is_in(OWN)).join(pairs, left_on=list(key), right_on=list(key.values()), how="anti")
    mine = {name: pl.col(column) for column, name in (key | {"size": side}).items()}
    mine |= {"kind": pl.lit("TRANSFER"), "entity": pl.col("entity"), "asset": pl.col("asset")}
    return left.select(mine.get(name, pl.lit(None)).cast(dtype).alias(name) for name, dtype in TRANSFER.items())
