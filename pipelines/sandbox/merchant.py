"""What CryptoFuse says of a merchant's balances, in each of the three shapes it has published; and of its codes. No HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from pipelines.sandbox.codes import CODES
from pipelines.sandbox.ledger import Event
from pipelines.sandbox.replay import Account, Replayed, World
from pipelines.sandbox.values import EXACT, SECOND, fixed, plus, printed

PLACES = 6
INCOMING, OUTGOING = "deposit", "withdrawal"


def held(merchant: Replayed, now: int) -> dict[str, Account]:
    """Codes that are, or ever were, held by now; others are absent."""
    return {code: account for code, account in merchant.accounts.items() if account.exists(now)}


def as_maps(merchant: Replayed, world: World) -> dict[str, Any]:
    """code → text. The dataset knows main accounts only."""
    rows = merchant.rows(world.now)
    counts = {kind: sum(event.kind == kind for event in rows) for kind in (INCOMING, OUTGOING)}
    return {
        "account": {code: fixed(account.balance(world.now)[0], PLACES) for code, account in held(merchant, world.now).items()},
        "sub_accounts": {},
        "statistics": {"total_deposits": counts[INCOMING], "total_withdrawals": counts[OUTGOING]},
    }


def as_list(merchant: Replayed, world: World) -> dict[str, Any]:
    return {"balances": [_listed(code, account, world) for code, account in held(merchant, world.now).items()]}


def as_nested(merchant: Replayed, world: World) -> dict[str, Any]:
    """Codes in lower case, 18 decimals."""
    amounts = {code.lower(): account.balance(world.now) for code, account in held(merchant, world.now).items()}
    return {"account": {code: {"amount": fixed(a, 18), "pending_amount": fixed(p, 18)} for code, (a, p) in amounts.items()}}


SHAPES: Mapping[str, Callable[[Replayed, World], dict[str, Any]]] = {"maps": as_maps, "list": as_list, "nested": as_nested}


def _listed(code: str, account: Account, world: World) -> dict[str, Any]:
    rows = account.rows(world.now)
    balance, pending = account.balance(world.now)
    known = CODES.get(code.upper())
    usd = _usd(known.token, world) if known else None
    return {
        "currency": code,
        "currency_name": known.name if known else code,
        "network": known.blockchain if known else None,
        "total_balance": fixed(balance, PLACES),
        "available_balance": fixed(balance, PLACES),
        "pending_balance": fixed(pending, PLACES),
        "total_deposited": _moved(rows, INCOMING),
        "total_withdrawn": _moved(rows, OUTGOING),
        "total_fees_paid": _moved(rows, "fee"),
        "usd_value": None if usd is None else f"{EXACT.multiply(balance, usd):.2f}",
        "last_transaction": printed(rows[-1].at, "seconds") if rows else None,
        "wallets": [],
    }


def _moved(rows: Iterable[Event], kind: str) -> str:
    total = Decimal(0)
    for event in rows:
        if event.kind == kind:
            total = plus(total, abs(event.amount))
    return fixed(total, PLACES)


def _usd(token: str, world: World) -> Decimal | None:
    """The last price that any candle shows."""
    hours = world.dataset.hours.get(f"{token.upper()}-USD")
    found = hours.shown(world.now / SECOND, forming=False, newest=1) if hours else []
    return found[0].close if found else None


def currencies(codes: Iterable[str], query: Mapping[str, str]) -> list[Any]:
    """Names only, unless asked in full."""
    if query.get("full", "").lower() != "true":
        return list(codes)
    limits = query.get("min_max", "").lower() == "true"
    return [_currency(code) | ({"min_amount": "1.000000", "max_amount": "1000000.000000"} if limits else {}) for code in codes]


def _currency(code: str) -> dict[str, Any]:
    known = CODES[code]
    return {
        "currency": code,
        "name": known.name,
        "token": known.token,
        "blockchain": known.blockchain,
        "is_popular": known.token in ("btc", "eth", "usdt"),
        "is_stable": known.stable,
    }
