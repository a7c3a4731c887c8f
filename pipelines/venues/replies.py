"""A question to a venue, its reply, and what a reply means before anyone reads it: an answer, or which error. No HTTP.

A venue's own rules come as a judge of its own, which ends in `by_status`. The venue's words reach an error only through `Quote`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

import msgspec

from pipelines.errors import RateLimited, Refused, Unreachable, Unreadable, VenueError

LATER = "Run again later; what was read stays read."
CHECK = "Check base_url and the portfolio's entry in the configuration."


@dataclass(frozen=True)
class Question:
    """What is asked, without secrets; `endpoint` is its name on the page, `cost` what the venue's limit charges."""

    endpoint: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    form: Mapping[str, str] | None = field(default=None, repr=False)
    content: bytes = field(default=b"", repr=False)  # JSON
    cost: float = 1
    once: bool = False  # asking twice would do it twice: not repeated where it may have been heard


@dataclass(frozen=True)
class Reply:
    """A whole answer. Its body may hold a token, so it has no place in a repr."""

    asked: str  # in words, for errors
    request: str  # method and path with query
    status: int
    fetched_at: datetime
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @cached_property
    def json(self) -> Any:  # a venue's JSON may be anything
        """For the walk's own use: cursors, counts, instants; None where `wire` could not read it either. Money is read there, from text."""
        try:
            return msgspec.json.Decoder(float_hook=str).decode(self.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None

    def unreadable(self) -> Unreadable:
        seen = self.json
        keys = ", ".join(sorted(f"{k:.40}" for k in seen)[:20]) if isinstance(seen, dict) else ""
        form = f"the keys {keys}" if keys else "a list" if isinstance(seen, list) else "something else"
        return Unreadable(f"{self.asked} did not reply in the published shape; it sent {form}.", "Check base_url, or report it to us.")


class Refusal(Refused):
    """The venue's no, with its status and its own code."""

    def __init__(self, what: str, todo: str = "", status: int = 0, code: str = "") -> None:
        super().__init__(what, todo)
        self.status = status
        self.code = code


class MissingRight(Refusal):
    """The key opens the portfolio and lacks the right to this one question: the others may still be asked."""


class Expired(Refusal):
    """A timestamp or token that is too old: worth one attempt with a fresh one."""


def by_status(reply: Reply, said: str = "", code: str = "") -> VenueError | None:
    """What a status means everywhere. `said`: the venue's own words."""
    because = f" ({said})" if said else ""
    if 200 <= reply.status < 300:
        return None
    if reply.status == 429:
        return RateLimited(f"{reply.asked} was refused: too many requests{because}.", LATER, retry_after(reply))
    if reply.status == 408 or reply.status >= 500:
        return Unreachable(f"{reply.asked} answered {reply.status}{because}.", LATER)
    return Refusal(f"{reply.asked} was refused with {reply.status}{because}.", _REMEDIES.get(reply.status, CHECK), reply.status, code)


_REMEDIES = {
    401: "Check the portfolio's key in the configuration.",
    403: "Check the key's rights, and whether the venue allows this address.",
}


def retry_after(reply: Reply) -> float | None:
    """Seconds to wait, from Retry-After (seconds or a date) or from `ratelimit: …;t=32`."""
    text = reply.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text):
        return float(text)
    with suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(text) - reply.fetched_at).total_seconds())
    seconds = re.search(r";\s*t=(\d{1,6})", reply.headers.get("ratelimit", ""))
    return float(seconds[1]) if seconds else None


def dated(reply: Reply) -> datetime | None:
    """The Date of a reply, to the second."""
    with suppress(ValueError, TypeError):
        return parsedate_to_datetime(reply.headers.get("date", ""))
    return None


Quote = Callable[[object], str]
Judge = Callable[[Reply, Quote], VenueError | None]
"""What a reply means: nothing, or an error. It puts the venue's words into an error through `Quote` only."""
