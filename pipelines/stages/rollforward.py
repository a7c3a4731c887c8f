"""postings + openings + accounts over [since, until) → opening + columns = closing, per account; and the value bridge between them.

One table says which column an event type belongs to at which venue; a type it does not know gets a column of its own.
Opening and closing are per venue: the balance the venue reported. What the chain does not explain is a column, never spread,
and what it adds up to since the opening separates the venue's closing from the book's. Where the opening was issued as something
else, it stays what was issued, and what came to be known of earlier days is a column. No price is looked up here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from pipelines.errors import ContractError
from pipelines.stages import exact
from pipelines.tables import INSTANT, INT, MONEY

IN_OUT = {"deposits": "withdrawals", "trades_in": "trades_out"}
"""Columns whose decreases stand in a column of their own."""
COLUMNS = (
    "deposits", "withdrawals", "trades_in", "trades_out", "trading_net", "fees", "interest", "funding", "liquidations", "rewards",
    "own_transfers",
)  # fmt: skip
UNKNOWN = "other: "
"""What a column of a type that is not in the table begins with."""
EVENT_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "coinbase": {
        "transfer": "deposits",  # the ledger does not tell transfers between own profiles from the others
        **dict.fromkeys(
            ("match", "otc_match", "rfq_match", "conversion", "match_conversion", "stake_wrap"), "trades_in"
        ),
        **dict.fromkeys(("fee", "otc_fee", "rfq_fee", "conversion_fee"), "fees"),
        "margin_interest": "interest",
        **dict.fromkeys(("rebate", "tax_credit"), "rewards"),
    },
    "pacifica": {
        **dict.fromkeys(("deposit", "deposit_release"), "deposits"),
        "withdraw": "withdrawals",
        "trade": "trading_net",
        "fee": "fees",
        "funding": "funding",
        **dict.fromkeys(("market_liquidation", "backstop_liquidation", "adl_liquidation"), "liquidations"),
        **dict.fromkeys(("payout", "rebate", "cashback", "referral", "airdrop"), "rewards"),
        "subaccount_transfer": "own_transfers",
    },
    "cryptofuse": {
        "deposit": "deposits",
        "withdrawal": "withdrawals",
        "fee": "fees",
        **dict.fromkeys(("to_sub", "to_master"), "own_transfers"),
    },
}  # fmt: skip
SIGNED = ("transfer", "match", "otc_match", "rfq_match", "conversion", "match_conversion", "stake_wrap")
"""Types whose sign decides the column."""

ORDER = ("entity", "venue", "portfolio", "asset", "native_code")
BRIDGE_VALUES = ("opening_value", "price_effect", "movement_value", "closing_value")

_NAMED = ["portfolio", "native_code"]
_IDENTITY = ("account_id", "entity", "venue", "portfolio", "native_code", "asset", "network")
_ENDS = (
    "opening", "opened_in_period", "prior_period", "unexplained", "closing", "adjustments", "closing_adjusted",
    "book_opening", "book_closing", "entries",
)  # fmt: skip
_ADJUSTED = pl.Schema({"account_id": INT, "occurred_at": INSTANT, "amount": MONEY})


def rollforward(
    postings: pl.LazyFrame,
    openings: pl.LazyFrame,
    accounts: pl.LazyFrame,
    since: datetime,
    until: datetime,
    adjustments: pl.LazyFrame | None = None,
) -> pl.DataFrame:
    """One row per account that was in the book before `until`; its columns are the same for all, unknown types included.

    Facts as known. opening + opened_in_period + prior_period + columns + unexplained = closing, wherever the opening is known;
    closing + adjustments made before `until` = closing_adjusted.
    """
    chain = _chain(postings, openings, until)
    entries = _in_columns(chain.filter(pl.col("occurred_at") >= since), accounts).collect()
    names = [*COLUMNS, *sorted(set(entries["column"]) - set(COLUMNS))]
    sums = entries.pivot(on="column", index="account_id", values="amount").with_columns(
        pl.lit(0, MONEY).alias(name) for name in names if name not in entries["column"]
    )
    return (
        _ends(chain, openings, accounts, since, until)
        .join(_adjusted(adjustments, until), on="account_id", how="left")
        .with_columns(pl.col("adjustments").fill_null(0))
        .with_columns(prior_period=pl.lit(0, MONEY), closing_adjusted=exact.in_range(pl.col("closing") + pl.col("adjustments")))
        .join(sums.lazy(), on="account_id", how="left")
        .with_columns(pl.col(names).fill_null(0))
        .select(
            *_IDENTITY[1:], "opening", "opened_in_period", "prior_period", *names, "unexplained", "closing", "adjustments",
            "closing_adjusted", "book_opening", "book_closing", "entries",
        )
        .sort(ORDER, nulls_last=True)
        .collect()
    )  # fmt: skip


def from_issued(table: pl.DataFrame, issued: pl.DataFrame) -> pl.DataFrame:
    """The same movements from an opening that was issued (what `ends_of` it gives): what is another now of the time before it is
    `prior_period`, by the entries' word; where the venue's own figure says something else, the rest is unexplained.

    What was issued and is in the book no more goes out by `prior_period`.
    """
    gone = issued.join(table, on=_NAMED, how="anti")
    told = pl.concat([_with_nothing(table, gone), table]).join(issued.select(*_NAMED, "issued", "book_issued"), on=_NAMED, how="left")
    filled = told.with_columns(pl.col("issued", "book_issued").fill_null(0))
    moved = pl.col("opening").fill_null(0) - pl.col("issued")
    by_entries = pl.when(pl.col("opening").is_not_null()).then(pl.col("book_opening") - pl.col("book_issued"))
    prior = pl.coalesce(by_entries, moved)
    return (
        filled.with_columns(prior_period=prior, unexplained=pl.col("unexplained") + moved - prior)
        .with_columns(
            opening=pl.when(pl.col("opening").is_not_null() | (pl.col("issued") != 0)).then("issued"),
            book_opening=pl.when(pl.col("book_closing").is_not_null()).then("book_issued"),
        )
        .select(table.columns)
        .sort(ORDER, nulls_last=True)
    )


def _with_nothing(table: pl.DataFrame, gone: pl.DataFrame) -> pl.DataFrame:
    """Rows of accounts that hold nothing any more: they had an opening, and nothing moved."""
    nothing = {name: pl.lit(0, dtype) for name, dtype in table.schema.items() if name not in _IDENTITY}
    return gone.select(*_IDENTITY[1:], **nothing).with_columns(opened_in_period=pl.lit(None, MONEY)).select(table.columns)


def ends_of(table: pl.DataFrame) -> pl.DataFrame:
    """What a roll-forward that was issued ends with, for the next one to begin with."""
    return table.select(*_IDENTITY[1:], issued="closing", book_issued="book_closing").filter(pl.col("issued").is_not_null())


def columns(table: pl.DataFrame) -> list[str]:
    """The names of its movement columns, as they stand."""
    return [name for name in table.columns if name not in (*_IDENTITY, *_ENDS)]


def require_identity(table: pl.DataFrame) -> pl.DataFrame:
    """The table, or an error naming the first row whose columns do not lead from its opening to its closing."""
    parts = (pl.col(name).fill_null(0) for name in ("opening", "opened_in_period", "prior_period", *columns(table), "unexplained"))
    wrong = table.filter(pl.col("book_closing").is_not_null() & (pl.sum_horizontal(parts) != pl.col("closing")))
    if not wrong.is_empty():
        raise ContractError(f"The roll-forward of {wrong['portfolio'][0]} {wrong['native_code'][0]} does not lead to its closing.")
    return table


def annex(postings: pl.LazyFrame, openings: pl.LazyFrame, accounts: pl.LazyFrame, since: datetime, until: datetime) -> pl.LazyFrame:
    """venue, event type → the columns of its increases and decreases, and how many entries the period has of it."""
    mine = _chain(postings, openings, until).filter(pl.col("occurred_at") >= since)
    return (
        mine.join(accounts.select("account_id", "venue"), on="account_id")
        .group_by("venue", "event_type")
        .agg(entries=pl.len())
        .with_columns(increases=_column(pl.lit(1)), decreases=_column(pl.lit(-1)))
        .select("venue", "event_type", "increases", "decreases", "entries")
        .sort("venue", "event_type")
    )


def own_transfers(table: pl.LazyFrame) -> pl.LazyFrame:
    """Per entity and asset: own transfers out and in; what is left is in transit, or a leg the venue does not mark as one."""
    moved = pl.col("own_transfers")
    return (
        table.filter(moved != 0)
        .group_by("entity", asset=pl.coalesce("asset", "native_code"))
        .agg(out=exact.total(moved.filter(moved < 0)).fill_null(0), into=exact.total(moved.filter(moved > 0)).fill_null(0))
        .with_columns(left=pl.col("out") + pl.col("into"))
        .sort("entity", "asset")
    )


def bridge(table: pl.LazyFrame, before: pl.LazyFrame, after: pl.LazyFrame) -> pl.LazyFrame:
    """The book's opening value → its closing value; not gain or loss. `before`: prices per account, as it was labelled then.

    opening × old price, + opening × (new price − old price), + net movements × new price. Products are rounded at 18 places,
    each; what that leaves stands in `rounding`. Where a price is missing or its currency changed there is a reason instead.
    """
    price = ("price", "currency", "reason")
    opening, net = pl.col("opening_units"), pl.col("movement_units")
    old, new = pl.when(opening == 0).then(pl.col("closing_price")).otherwise("opening_price"), pl.col("closing_price")
    reason = (
        pl.when(pl.col("asset").is_null()).then(pl.lit("UNMAPPED_ASSET"))
        .when(opening.is_null() | net.is_null()).then(pl.lit("OPENING_UNKNOWN"))
        .when(new.is_null()).then(pl.coalesce("reason", pl.lit("NOT_PRICED")))
        .when(old.is_null()).then(pl.lit("OPENING_") + pl.coalesce("opening_reason", pl.lit("NOT_PRICED")))
        .when((opening != 0) & (pl.col("currency") != pl.col("opening_currency"))).then(pl.lit("CURRENCY_CHANGED"))
    )  # fmt: skip
    values = {
        "opening_value": exact.product(opening, old),
        "price_effect": exact.product(opening, new - old),
        "movement_value": exact.product(net, new),
        "closing_value": exact.product(opening + net, new),
    }
    return (
        table.with_columns(opening_units=_at_opening(), movement_units=pl.col("book_closing") - _at_opening())
        .join(before.select(*_NAMED, *(pl.col(n).alias(f"opening_{n}") for n in price)), on=_NAMED, how="left")
        .join(after.select("asset", "currency", "reason", closing_price="price"), on="asset", how="left")
        .with_columns(bridge_reason=reason)
        .with_columns(pl.when(pl.col("bridge_reason").is_null()).then(expr).alias(name) for name, expr in values.items())
        .with_columns(rounding=pl.col("closing_value") - pl.sum_horizontal("opening_value", "price_effect", "movement_value"))
        .select(
            *_IDENTITY[1:], "currency", "opening_units", "opening_price", "opening_value", "price_effect", "movement_units",
            "closing_price", "movement_value", "rounding", "closing_value", reason="bridge_reason",
        )
        .sort(ORDER, nulls_last=True)
    )  # fmt: skip


def bridge_totals(bridge: pl.LazyFrame) -> pl.LazyFrame:
    """Per entity and currency, the rows that are bridged added up."""
    names = (*BRIDGE_VALUES, "rounding")
    return (
        bridge.filter(pl.col("reason").is_null())
        .group_by("entity", "currency")
        .agg(*(exact.total(pl.col(name)).alias(name) for name in names), rows=pl.len())
        .sort("entity", "currency")
    )


def _at_opening() -> pl.Expr:
    """Units in the book at `since`; none where the account was opened later."""
    opened_later = pl.col("opening").is_null() & pl.col("opened_in_period").is_not_null()
    return pl.when(opened_later).then(pl.lit(0, MONEY)).otherwise("book_opening")


def _adjusted(adjustments: pl.LazyFrame | None, until: datetime) -> pl.LazyFrame:
    """What was adjusted before `until`, added up per account."""
    made = pl.LazyFrame(schema=_ADJUSTED) if adjustments is None else adjustments.select(_ADJUSTED.names())
    return made.filter(pl.col("occurred_at") < until).group_by("account_id").agg(adjustments=exact.total(pl.col("amount")))


def _chain(postings: pl.LazyFrame, openings: pl.LazyFrame, until: datetime) -> pl.LazyFrame:
    """Postings before `until` that count, in order, each with what the chain does not explain at it."""
    before = pl.col("balance_after").shift(1).over("account_id").fill_null(pl.col("opened_with"))
    return (
        postings.join(_opened(openings), on="account_id")
        .filter(pl.col("occurred_at") < until, pl.col("occurred_at") >= pl.col("opened_at"))
        .sort("account_id", "occurred_at", "position")
        .with_columns(gap=pl.col("balance_after") - before - pl.col("amount"))
    )


def _opened(openings: pl.LazyFrame) -> pl.LazyFrame:
    known = pl.when(pl.col("kind") != "UNKNOWN").then("amount")
    return openings.select("account_id", "opened_at", opened_with=exact.in_range(known))


def _in_columns(entries: pl.LazyFrame, accounts: pl.LazyFrame) -> pl.LazyFrame:
    return (
        entries.join(accounts.select("account_id", "venue"), on="account_id")
        .with_columns(column=_column(pl.col("amount")))
        .group_by("account_id", "column")
        .agg(amount=exact.total(pl.col("amount")))
    )


def _column(amount: pl.Expr) -> pl.Expr:
    """The column of a posting: by venue and event type, and by its sign where the type goes both ways."""
    key = pl.concat_str("venue", pl.lit("\n"), "event_type")
    flat = {f"{venue}\n{kind}": column for venue, kinds in EVENT_COLUMNS.items() for kind, column in kinds.items()}
    named = key.replace_strict(flat, default=None, return_dtype=pl.String)
    outward = pl.col("event_type").is_in(SIGNED) & (amount < 0)
    known = pl.when(outward).then(named.replace(IN_OUT)).otherwise(named)
    return pl.coalesce(known, pl.lit(UNKNOWN) + pl.col("event_type"))


def _ends(chain: pl.LazyFrame, openings: pl.LazyFrame, accounts: pl.LazyFrame, since: datetime, until: datetime) -> pl.LazyFrame:
    """What stands at both ends, per venue and in the book, and what the chain leaves unexplained between them."""
    earlier, gap, reported = pl.col("occurred_at") < since, pl.col("gap"), pl.col("balance_after")
    opened_before, known = pl.col("opened_at") < since, pl.col("opened_with").is_not_null()
    return (
        accounts.select(_IDENTITY)
        .join(_opened(openings), on="account_id", how="left")
        .filter(pl.col("opened_at").is_null() | (pl.col("opened_at") < pl.lit(until, INSTANT)))
        .join(
            chain.group_by("account_id", maintain_order=True).agg(
                reported_before=reported.filter(earlier).last(),
                reported=reported.last(),
                drift_before=exact.total(gap.filter(earlier)),
                unexplained=exact.total(gap.filter(~earlier)),
                entries=(~earlier).sum(),
            ),
            on="account_id",
            how="left",
        )
        .with_columns(pl.col("drift_before", "unexplained", "entries").fill_null(0))
        .with_columns(
            opening=pl.when(opened_before).then(pl.coalesce("reported_before", "opened_with")),
            opened_in_period=pl.when(~opened_before).then("opened_with"),
            closing=pl.coalesce("reported", "opened_with"),
        )
        .with_columns(
            unexplained=pl.when(known).then("unexplained"),
            book_opening=exact.in_range(pl.when(known).then(pl.col("opening") - pl.col("drift_before"))),
            book_closing=exact.in_range(pl.when(known).then(pl.col("closing") - pl.col("drift_before") - pl.col("unexplained"))),
        )
    )
