"""Decimal(38, 18) arithmetic whose out-of-range results are null, never an exception. Expressions only, no frames.

Polars rounds `*` and `/` half-even at 18 places, exactly, but a result of 1e20 or more raises and takes the whole frame
with it. So operands are nulled where a float estimate says that the result cannot fit; the exact limit is judged afterwards.
"""

from __future__ import annotations

from decimal import Decimal

import polars as pl

LIMIT = Decimal(10) ** 18
"""No quantity, price or value reaches this."""
_SURELY_FITS = 2e18  # twice LIMIT: a float estimate errs in its 16th digit, so nothing below LIMIT is lost
_SUM_SURELY_FITS = 5e19  # half of what the type holds, so that no partial sum can overflow, in any order


def in_range(x: pl.Expr) -> pl.Expr:
    """`x`, or null where it reaches the limit."""
    return pl.when(x.abs() < LIMIT).then(x)


def product(a: pl.Expr, b: pl.Expr) -> pl.Expr:
    """a · b, half-even; null where either is null or the product is out of range."""
    fits = (_estimate(a) * _estimate(b)).abs() < _SURELY_FITS
    return in_range(pl.when(fits).then(a) * pl.when(fits).then(b))


def quotient(a: pl.Expr, b: pl.Expr) -> pl.Expr:
    """a / b, half-even; null where either is null, b is zero or the quotient is out of range."""
    fits = (b != 0) & ((_estimate(a) / _estimate(b)).abs() < _SURELY_FITS)
    return in_range(pl.when(fits).then(a) / pl.when(fits).then(b))


def total(x: pl.Expr) -> pl.Expr:
    """Σ x of a group, nulls left out; null where there is nothing to add or the sum is out of range."""
    fits = (x.count() > 0) & (_estimate(x).abs().sum() < _SUM_SURELY_FITS)
    return in_range(pl.when(fits).then(pl.when(fits).then(x).sum()))


def running_total(x: pl.Expr, group: str) -> pl.Expr:
    """Σ x from the group's first row to this one; null from where Σ |x| is beyond any sane sum."""
    fits = _estimate(x).abs().cum_sum().over(group) < _SUM_SURELY_FITS
    return pl.when(fits).then(x).cum_sum().over(group)


def _estimate(x: pl.Expr) -> pl.Expr:
    return x.cast(pl.Float64)
