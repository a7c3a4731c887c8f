"""Adjustments → the journal: what people say an account holds beside what its venue reports. Nothing here touches a balance.

An adjustment is never taken back: another one with the opposite amount reverses it.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path

from pipelines.errors import UsageError
from pipelines.histories import Reader
from pipelines.home import machine_errors
from pipelines.journal import Journal, Record
from pipelines.journalled import ADJUSTED
from pipelines.locks import locked_until
from pipelines.tables import ACCOUNTS

PLACES, WIDE = Decimal("1e-18"), Context(prec=60)


@dataclass(frozen=True)
class Adjustment:
    """What is added to one account from an instant on, who made it and who approved it."""

    portfolio: str
    native_code: str
    occurred_at: datetime
    amount: Decimal
    approver: str
    reason: str
    document: str


def amount_of(text: str) -> Decimal:
    """An exact amount; what the book could not hold is refused."""
    try:
        amount = Decimal(text)
        if not amount.is_finite() or amount.adjusted() >= 18 or amount != amount.quantize(PLACES, context=WIDE):
            raise InvalidOperation
    except InvalidOperation:
        raise UsageError(f"{text!r} is no amount.", "Give a decimal number of at most 18 digits before and after the point.") from None
    return amount


def resting_on(document: str) -> str:
    """A document's name; of a file, with its hash, so that it cannot become another one."""
    path = Path(document)
    if not path.is_file():
        return document
    with machine_errors(f"{document} cannot be read"):
        return f"{path.name} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def adjust(journal: Journal, source: Reader, made: Adjustment, by: str, at: datetime) -> Record:
    """Record it; the next publication tells it."""
    if made.approver == by:
        raise UsageError(f"{by} cannot approve an adjustment of {by}'s own.", "Another person approves it: --approver.")
    if not made.amount:
        raise UsageError("An adjustment of 0 adjusts nothing.", "Give --amount, signed.")
    if made.occurred_at > at:
        raise UsageError("An adjustment of a future instant is none yet.", "Give --at an instant that has passed.")
    if until := locked_until(journal, source, made.occurred_at):
        raise UsageError(
            f"{made.occurred_at.isoformat()} lies in days that are locked.",
            f"Date it in the open period, {until.isoformat()} or later, or `closebook reopen`.",
        )
    _require_open(source, made)
    words = asdict(made) | {"occurred_at": made.occurred_at.isoformat(), "amount": f"{made.amount:f}"}
    return journal.append(ADJUSTED, by, words, at)


def _require_open(source: Reader, made: Adjustment) -> None:
    """The account is there, and had its opening by then."""
    named = "portfolio = ? AND native_code = ?"
    if source.read(ACCOUNTS, named, made.portfolio, made.native_code).is_empty():
        raise UsageError(
            f"Portfolio {made.portfolio} has no account {made.native_code} in this book.", "`closebook snapshot` lists its accounts."
        )
    newest = f"SELECT arg_max(opened_at, o.recorded_at) AS at FROM openings AS o JOIN accounts USING (account_id) WHERE {named}"
    opened: datetime | None = source.sql(newest, made.portfolio, made.native_code)["at"][0]
    if opened is not None and made.occurred_at < opened:
        raise UsageError(
            f"{made.portfolio} {made.native_code} has its opening at {opened.isoformat()}; an adjustment before it is part of none.",
            "Give a later --at, or assert an earlier [[opening]].",
        )
