"""What a venue said: a reply page, and the batch of pages that one walk brought home. No I/O."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property


@dataclass(frozen=True)
class Page:
    """One reply, verbatim but for personal data and secrets, which were cut out before it got here."""

    venue: str
    portfolio: str  # empty for public data
    endpoint: str  # what was asked, by name: accounts, ledger, candles …
    request: str  # method and path with query, without secrets
    fetched_at: datetime  # UTC, when the reply was complete, on this machine's clock
    body: bytes

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


OF_A_KEY = "key:"  # begins an identity that is only a hash of the key: keys are renewed, and a renewed one opens the same


def contradicts(name: str, identity: str, other: str, other_identity: str) -> bool:
    """One portfolio under two names would count twice, and a name that changes hands would mix two."""
    if identity == other_identity:
        return name != other
    return name == other and not identity.startswith(OF_A_KEY)


@dataclass(frozen=True)
class Batch:
    """All pages of one walk. What it brought is committed as a whole or not at all."""

    kind: str  # BALANCES, HISTORY, PRODUCTS, CANDLES, CURRENCIES or REPORT
    venue: str
    portfolio: str  # empty for public data
    subject: str  # native code or product id; empty for all of the portfolio
    since: datetime | None  # the walk covers since <= occurred_at; None: from the beginning
    until: datetime  # … and everything the venue knew before this instant
    asked_at: datetime
    pages: tuple[Page, ...]
    identity: str = ""  # whose pages the venue says they are; where it does not say, a hash of the key. Empty for public data
