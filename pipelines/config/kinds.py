"""What an entry may be: names, addresses, codes, exact numbers. One sentence says what is wrong with any other."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

EARLIEST, LATEST = date(1970, 1, 2), date(2200, 1, 1)
"""Days beyond these are no book's."""
NAME = r"^[a-z0-9][a-z0-9_-]{0,40}$"


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def not_all(name: str) -> str:
    if name == "all":
        raise ValueError("the name 'all' is reserved")
    return name


def http_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.port == 0 or parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ValueError("must be an http(s) address without credentials")
    return url.rstrip("/")


def decimal_text(value: object) -> object:
    if isinstance(value, float):
        raise ValueError('write the number as text, "1.25", so that no digit is lost')
    return value


def timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except Exception as unknown:
        raise ValueError(f"{name!r} is not an IANA time zone") from unknown
    return name


Name = Annotated[str, Field(pattern=NAME), AfterValidator(not_all)]
Url = Annotated[str, AfterValidator(http_url)]
Code = Annotated[str, Field(pattern=r"^\S+$", max_length=80)]
Exact = Annotated[Decimal, BeforeValidator(decimal_text), Field(allow_inf_nan=False, max_digits=38, decimal_places=18)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Timezone = Annotated[str, AfterValidator(timezone)]
