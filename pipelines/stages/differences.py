"""Lines and evidence of two statements → what changed between them, by how much, and why. No I/O, no clock.

Both values are known to the last digit, and so is every effect: quantity effect + price effect, or all that is new or gone, is the
change. A change whose cause is not among the evidence is a line without a cause, never an effect that is left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from pipelines.stages import exact
from pipelines.tables import MONEY, TEXT

KEY = ("portfolio", "native_code")
STATUS = ("reason", "balance_status", "movements_status", "status_reasons")
LINES = (
    "entity", "portfolio", "native_code", "asset", "kind", "balance_old", "balance_new", "price_old", "price_new", "currency",
    "value_old", "value_new", "quantity_effect", "price_effect", "separate", "change", "causes",
)  # fmt: skip
KINDS = ("CHANGED", "OTHER_CURRENCY", "NEWLY_PRICED", "NEWLY_UNPRICED", "ADDED", "REMOVED", "STATUS")
CAUSE = pl.Schema(dict.fromkeys(("kind", *KEY, "asset", "at", "was", "now", "recorded_at", "page_sha256"), TEXT))
ENTRY = (*KEY, "occurred_at", "event_id", "event_type", "amount")
MOST_NAMED = 30
"""Causes named on one line; all of them stand in the list."""


def lines(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Rows by portfolio of both → one line per account and currency whose figures or words changed; `causes` not yet said."""
    both = old.join(new, on=KEY, how="full", coalesce=True, suffix="_new").rename({c: f"{c}_old" for c in old.columns if c not in KEY})
    pairs = [pl.col(f"{c}_old").ne_missing(pl.col(f"{c}_new")) for c in ("balance", "price", "currency", "value", *STATUS)]
    changed = both.filter(pl.any_horizontal(pairs)).with_columns(
        **{name: pl.coalesce(f"{name}_new", f"{name}_old") for name in ("entity", "asset")}
    )
    here = {side: pl.col(f"value_{side}").is_not_null() for side in ("old", "new")}
    same = here["old"] & here["new"] & (pl.col("currency_old") == pl.col("currency_new"))
    told = [
        _effects(changed.filter(same)),
        _alone(changed.filter(here["old"] & ~same), "old", "NEWLY_UNPRICED", "REMOVED"),
        _alone(changed.filter(here["new"] & ~same), "new", "NEWLY_PRICED", "ADDED"),
        _words_only(changed.filter(~here["old"] & ~here["new"])),
    ]
    return pl.concat(told).sort(*KEY, "currency", nulls_last=True)


def _effects(changed: pl.DataFrame) -> pl.DataFrame:
    """(new balance − old balance) × old price, then new balance × (new price − old price), from values that are rounded once each."""
    between = pl.coalesce(exact.product(pl.col("balance_new"), pl.col("price_old")), "value_old")
    moved = pl.col("value_new") - pl.col("value_old")
    effects = {"quantity_effect": between - pl.col("value_old"), "price_effect": pl.col("value_new") - between}
    as_before = (pl.col(f"{name}_old") == pl.col(f"{name}_new") for name in ("balance", "price"))
    kind = pl.when(pl.all_horizontal(as_before)).then(pl.lit("STATUS")).otherwise(pl.lit("CHANGED"))
    return _lines(changed, kind, "currency_new", moved, separate=_none(), **effects)


def _alone(changed: pl.DataFrame, side: str, priced: str, row: str) -> pl.DataFrame:
    """A value that stands on one side only, in its currency."""
    other = "old" if side == "new" else "new"
    there = pl.col(f"entity_{other}").is_not_null()
    kind = (
        pl.when(~there).then(pl.lit(row)).when(pl.col(f"value_{other}").is_null()).then(pl.lit(priced)).otherwise(pl.lit("OTHER_CURRENCY"))
    )
    change = pl.col("value_new") if side == "new" else -pl.col("value_old")
    hidden = {f"{name}_{other}": _none() for name in ("price", "value")}
    return _lines(changed, kind, f"currency_{side}", change, separate=change, quantity_effect=_none(), price_effect=_none(), **hidden)


def _words_only(changed: pl.DataFrame) -> pl.DataFrame:
    """Neither side has a value: the units, or only the words, changed."""
    there = [pl.col(f"entity_{side}").is_not_null() for side in ("old", "new")]
    moved = pl.col("balance_old").ne_missing(pl.col("balance_new"))
    words = {"REMOVED": ~there[1], "ADDED": ~there[0], "CHANGED": moved}
    kind = pl.coalesce(*(pl.when(holds).then(pl.lit(word)) for word, holds in words.items()), pl.lit("STATUS"))
    nothing = dict.fromkeys(("separate", "quantity_effect", "price_effect"), _none())
    return _lines(changed, kind, "currency_new", _none(), **nothing)


def _none() -> pl.Expr:
    return pl.lit(None, MONEY)


def _lines(changed: pl.DataFrame, kind: pl.Expr, currency: str, change: pl.Expr, **columns: pl.Expr) -> pl.DataFrame:
    told = changed.with_columns(kind=kind, currency=pl.col(currency), change=change.cast(MONEY), causes=pl.lit("", TEXT), **columns)
    return told.select(LINES).with_columns(pl.col("separate", "quantity_effect", "price_effect", "change").cast(MONEY))


def totals(old: pl.DataFrame, new: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Per entity and currency: what the total was, what it is, and what the lines say of the change; `unexplained` is what they do not."""
    group = ["entity", "currency"]
    sides = [
        rows.filter(pl.col("value").is_not_null()).lazy().group_by(group).agg(exact.total(pl.col("value")).alias(name))
        for name, rows in (("value_old", old), ("value_new", new))
    ]
    effects = ("quantity_effect", "price_effect", "separate")
    said = found.lazy().drop_nulls("change").group_by(group).agg(exact.total(pl.col(name).fill_null(0)).alias(name) for name in effects)
    joined = sides[0].join(sides[1], on=group, how="full", coalesce=True).join(said, on=group, how="left")
    change = pl.col("value_new") - pl.col("value_old")
    return (
        joined.with_columns(pl.exclude(group).fill_null(0))
        .with_columns(change=change, unexplained=change - sum((pl.col(name) for name in effects), pl.lit(0, MONEY)))
        .with_columns(pl.col("change", "unexplained").cast(MONEY))
        .sort(group)
        .collect()
    )


def causes(old: Mapping[str, pl.DataFrame], new: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Evidence of both, as text tables by name → numbered causes: entries that came or went, and what was restated."""
    found = [
        _entries(new["postings"], old["postings"], "LATE_ENTRY", "now"),
        _entries(old["postings"], new["postings"], "WITHDRAWN_ENTRY", "was"),
        _restated(old, new, "OPENING", "openings", KEY, ("kind", "amount", "opened_at", "document"), "opened_at"),
        _restated(old, new, "LABEL", "accounts", KEY, ("asset", "network", "asset_class"), None),
        _restated(old, new, "CANDLE", "candles", ("asset", "start"), ("product_id", "close", "volume"), "start"),
        _restated(old, new, "POLICY", "policies", ("asset", "name"), ("exclude", "price", "currency", "same_as", "since", "until"), None),
    ]
    return pl.concat(found).sort("kind", "portfolio", "native_code", "asset", "at", nulls_last=True).with_row_index("cause", 1)


def _entries(mine: pl.DataFrame, others: pl.DataFrame, kind: str, side: str) -> pl.DataFrame:
    """Entries of one side that the other lacks; one whose balance-after alone was restated is on both."""
    nth = pl.int_range(pl.len()).over(ENTRY)
    left = mine.with_columns(nth=nth).join(others.with_columns(nth=nth), on=[*ENTRY, "nth"], how="anti", nulls_equal=True)
    said = pl.concat_str("event_type", pl.lit(" "), "amount", pl.lit(", entry "), pl.col("event_id").fill_null("without an id"))
    return _shaped(left.with_columns(kind=pl.lit(kind), at="occurred_at").with_columns(said.alias(side)))


def _restated(
    old: Mapping[str, pl.DataFrame],
    new: Mapping[str, pl.DataFrame],
    kind: str,
    table: str,
    key: tuple[str, ...],
    words: tuple[str, ...],
    at: str | None,
) -> pl.DataFrame:
    """Rows of a table whose words differ, or that stand on one side only."""
    said = pl.concat_str([pl.col(word).fill_null("–") for word in words], separator=" ")
    was, now = (tables[table].with_columns(said.alias(side)) for tables, side in ((old, "was"), (new, "now")))
    keep = [c for c in (*key, at, "recorded_at") if c and c in now.columns]
    both = was.select(*dict.fromkeys([*key, "was", *([at] if at else [])])).join(
        now.select(*dict.fromkeys([*keep, "now"])), on=list(key), how="full", coalesce=True, nulls_equal=True, suffix="_now"
    )
    differ = both.filter(pl.col("was").ne_missing(pl.col("now"))).with_columns(kind=pl.lit(kind))
    return _shaped(differ.with_columns(at=pl.coalesce(at, *[c for c in (f"{at}_now",) if c in differ.columns])) if at else differ)


def _shaped(found: pl.DataFrame) -> pl.DataFrame:
    return found.select((pl.col(name) if name in found.columns else pl.lit(None)).cast(dtype).alias(name) for name, dtype in CAUSE.items())


def with_causes(found: pl.DataFrame, because: pl.DataFrame) -> pl.DataFrame:
    """Lines with the numbers of what may have caused them: what happened to the account, or to the price of its asset."""
    own = because.filter(pl.col("native_code").is_not_null()).select(*KEY, "cause")
    priced = because.filter(pl.col("native_code").is_null()).select("asset", "cause")
    repriced = pl.col("price_old").ne_missing(pl.col("price_new"))
    named = pl.concat(
        [
            found.select(*KEY).unique().join(own, on=KEY),
            found.filter(repriced).select(*KEY, "asset").unique().join(priced, on="asset").select(*KEY, "cause"),
        ]
    )
    said = named.sort("cause").group_by(KEY).agg(pl.col("cause").unique(maintain_order=True).cast(TEXT))
    more = pl.when(pl.col("cause").list.len() > MOST_NAMED).then(pl.lit(" …")).otherwise(pl.lit(""))
    texts = said.select(*KEY, named=pl.concat_str(pl.col("cause").list.head(MOST_NAMED).list.join(", "), more))
    return found.join(texts, on=KEY, how="left", maintain_order="left").with_columns(causes=pl.col("named").fill_null("")).drop("named")
