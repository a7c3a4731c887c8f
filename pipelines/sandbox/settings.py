"""What nobody public says of the venues, with the assumption made. No behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PACIFICA_SHOWN = ("deposit", "deposit_release", "withdraw", "subaccount_transfer", "payout")


@dataclass(frozen=True)
class Settings:
    """Each field is one unverified fact; the defaults are what the public pages make likeliest."""

    # Coinbase Exchange
    legacy_400: bool = False  # credential errors with the older 400 instead of 401
    forming_candle: bool = True  # the hour that the data clock stands in is shown, as far as it has come
    candle_start_rounds_down: bool = False  # an unaligned `start` also yields the bucket it lies in
    newest_candles: int = 350  # rows of the window that is returned when a bound is missing

    report_seconds: tuple[float, float] = (0.2, 0.6)  # after which a report is being made, and is made
    report_hours_inclusive: bool = False  # a report's price counts the hour that begins at its instant as well

    # CryptoFuse
    balances_shape: Literal["maps", "list", "nested"] = "maps"
    currencies_in_envelope: bool = True  # {"currencies": […]} instead of a bare list
    token_seconds: int = 3600
    scopes: tuple[str, ...] = ("read", "write")  # what every client may ask for
    cryptofuse_limits: tuple[tuple[int, float], ...] = ((100, 60), (1000, 3600), (5000, 86400))  # requests, seconds
    slash_redirect: bool = True  # a missing slash at the end is redirected; else it is not found
    history_default: int = 20
    history_max: int = 100

    # Pacifica
    pacifica_default: int = 100
    pacifica_max: int = 500
    signed_amounts: bool = True
    pending_amounts: bool = False  # a row that moves only the pending balance prints that move as its amount
    shown_without_trades: tuple[str, ...] = PACIFICA_SHOWN
    unknown_address: Literal["not_found", "empty"] = "not_found"
    unknown_key: Literal["refused", "ignored"] = "refused"
    positions: tuple[tuple[str, str, str], ...] = ()  # symbol, side and amount of what every account holds open
    spot: tuple[tuple[str, str], ...] = ()  # symbol and amount
    unrealised: str = "0"  # what open positions add to the balance of every account
    account_as_list: bool = False  # the older form of /account
    credits: int = 100  # of an address without a key, in 60 s
    credits_with_key: int = 300
    page_credits: int = 12
    page_credits_with_key: int = 3
