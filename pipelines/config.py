"""closebook.toml + environment → plain frozen objects. The environment is read nowhere else.

Every number another file would call a setting has its default here. No venue, no table, no clock.
"""

from __future__ import annotations

import ipaddress
import os
import stat
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipelines.errors import ConfigError

EARLIEST, LATEST = date(1970, 1, 2), date(2200, 1, 1)
"""Days beyond these are no book's."""
NAME = r"^[a-z0-9][a-z0-9_-]{0,40}$"


class Environment(BaseSettings):
    """The two variables every command understands; command-line options win over them."""

    model_config = SettingsConfigDict(env_prefix="CLOSEBOOK_")
    config: Path = Path("closebook.toml")
    home: Path = Path("data")


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _not_all(name: str) -> str:
    if name == "all":
        raise ValueError("the name 'all' is reserved")
    return name


def _http_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.port == 0 or parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ValueError("must be an http(s) address without credentials")
    return url.rstrip("/")


def _decimal_text(value: object) -> object:
    if isinstance(value, float):
        raise ValueError('write the number as text, "1.25", so that no digit is lost')
    return value


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except Exception as unknown:
        raise ValueError(f"{name!r} is not an IANA time zone") from unknown
    return name


Name = Annotated[str, Field(pattern=NAME), AfterValidator(_not_all)]
Url = Annotated[str, AfterValidator(_http_url)]
Code = Annotated[str, Field(pattern=r"^\S+$", max_length=80)]
Exact = Annotated[Decimal, BeforeValidator(_decimal_text), Field(allow_inf_nan=False, max_digits=38, decimal_places=18)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class Book(Frozen):
    """Which days are closed: from `start` to before `end`, in each calendar."""

    start: date = Field(ge=EARLIEST, description="the first day to close")
    end: date | None = Field(default=None, le=LATEST, description="the first day not to close; without it the book goes on")
    calendars: tuple[Name, ...] = Field(default=("utc",), description="`utc`, `new_york` (17:00 there) or a [[calendar]] of your own")
    keep: int = Field(default=30, ge=2, description="publications kept")
    lock_wait: float = Field(default=60.0, ge=0, description="seconds a run waits for another to end")
    materiality: Mapping[Currency, Annotated[Exact, Field(gt=0)]] = Field(
        default={}, description="how much of late effects, per currency, may be carried into the open period instead of a revision"
    )

    @model_validator(mode="after")
    def _forward(self) -> Book:
        if self.end is not None and self.end <= self.start:
            raise ValueError("[book] end must lie after start; it is the first day not to close")
        return self


class Calendar(Frozen):
    """A day of this calendar ends at `cut_off` local time; 00:00 is the 24:00 of the day."""

    name: Name = Field(description="as [book] calendars names it")
    timezone: Annotated[str, AfterValidator(_timezone)] = Field(default="UTC", description="whose local time; IANA name")
    cut_off: time = Field(default=time(0, 0), description="when the day ends, in whole minutes")

    @model_validator(mode="after")
    def _whole_minutes(self) -> Calendar:
        if self.cut_off.second or self.cut_off.microsecond or self.cut_off.tzinfo:
            raise ValueError("cut_off is a local time in whole minutes, as in 17:00")
        return self


class PortfolioBase(Frozen):
    """What one key opens. Rate and burst are the venue's published limits unless set."""

    name: Name = Field(description="what the book calls it, for good")
    entity: Name = Field(default="default", description="whose books these are")
    owner: str | None = Field(default=None, min_length=1, max_length=100, description="who is to resolve its issues")
    base_url: Url = Field(description="the venue's API")
    timeout: float = Field(default=30.0, gt=0, description="seconds one call may take, all in all")
    page_size: int | None = Field(default=None, ge=1, le=1000, description="rows of a page; the venue's largest unless set")

    def reveal(self, value: SecretStr) -> str:
        return reveal(value, self.base_url, f"portfolio {self.name}")


class CoinbasePortfolio(PortfolioBase):
    venue: Literal["coinbase"] = Field(description="Coinbase Exchange")
    key: SecretStr = Field(description="an API key that may view, and nothing else")
    secret: SecretStr = Field(description="its secret")
    passphrase: SecretStr = Field(description="its passphrase")
    rate: float = Field(default=15.0, gt=0, description="requests a second")
    burst: int = Field(default=30, ge=1, description="requests at once")


class PacificaPortfolio(PortfolioBase):
    venue: Literal["pacifica"] = Field(description="Pacifica")
    account: str = Field(
        min_length=1, max_length=64, pattern=r"^[A-Za-z0-9]+$", description="the account's address; nothing is ever signed"
    )
    api_key: SecretStr | None = Field(default=None, description="raises the venue's limit, opens nothing")
    credits: int | None = Field(default=None, ge=1, description="credits in 60 s; 100 without a key, 300 with one")


class CryptofusePortfolio(PortfolioBase):
    venue: Literal["cryptofuse"] = Field(description="CryptoFuse")
    client_id: SecretStr = Field(description="the OAuth2 client's id")
    client_secret: SecretStr = Field(description="its secret")
    scope: str = Field(default="read write", description="what the token is asked for; live balances want both words, history only read")
    rate_per_minute: int = Field(default=100, ge=1, description="requests in 60 s")
    rate_per_hour: int = Field(default=1000, ge=1, description="requests in an hour")
    rate_per_day: int = Field(default=5000, ge=1, description="requests in a day")


Portfolio = Annotated[CoinbasePortfolio | PacificaPortfolio | CryptofusePortfolio, Field(discriminator="venue")]


class Prices(Frozen):
    """Where candles come from, and when a closed one is final."""

    base_url: Url = Field(default="https://api.exchange.coinbase.com", description="Coinbase Exchange's public API")
    rate: float = Field(default=10.0, gt=0, description="requests a second")
    burst: int = Field(default=15, ge=1, description="requests at once")
    finality_minutes: int = Field(default=5, ge=0, le=10_080, description="minutes after its end from which an hour's candle is final")
    spread_tolerance_bps: int = Field(
        default=1000, ge=0, le=1_000_000_000, description="1/10000 another method may lie from VWAP_24H without a word"
    )
    refetch_days: int = Field(default=2, ge=0, le=3_650, description="days whose candles are asked for again, because venues restate them")
    timeout: float = Field(default=30.0, gt=0, description="seconds one call may take, all in all")


class Pulling(Frozen):
    """How far back is read again: venues put rows in late, and not all restate the balances after them."""

    overlap_days: int = Field(default=7, ge=0, le=3_650, description="days that each pull reads again")
    whole_days: int = Field(
        default=7, ge=1, le=3_650, description="days after which an account is read again from its beginning, used or not"
    )


class Policy(Frozen):
    """Prices what the market does not, prices an asset as another, or refuses to price it; the row says so."""

    name: str = Field(default="", max_length=80, description="what it is called; without it, its asset and its first instant")
    asset: Code = Field(description="the asset it speaks of")
    exclude: bool = Field(default=False, description="the asset is not priced at all")
    price: Exact | None = Field(default=None, gt=0, description="fiat per unit")
    currency: Currency | None = Field(default=None, description="the currency of the price")
    bound: Exact | None = Field(default=None, gt=0, description="how far the market may lie from the price, in its currency")
    same_as: Code | None = Field(default=None, description="the asset whose price it takes, as WBTC may that of BTC")
    since: datetime | None = Field(default=None, alias="from", description="the first as-of it applies to; without it, all before `to`")
    until: datetime | None = Field(default=None, alias="to", description="the first as-of it no longer applies to")
    approver: str = Field(min_length=1, description="who answers for it")

    @model_validator(mode="after")
    def _one_thing(self) -> Policy:
        if self.exclude + (self.price is not None) + (self.same_as is not None) != 1 or (self.price is None) != (self.currency is None):
            raise ValueError("a policy either excludes an asset, gives it a price and a currency, or prices it the same_as another")
        if self.bound is not None and self.price is None:
            raise ValueError("a bound says how far the market may lie from a price; there is none")
        if self.same_as == self.asset:
            raise ValueError("an asset is the same as itself without a policy")
        if any(t is not None and t.tzinfo is None for t in (self.since, self.until)):
            raise ValueError("from and to need a time zone, as in 2025-01-01T00:00:00Z")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("from must lie before to, which is the first instant the policy no longer holds")
        return self

    @property
    def called(self) -> str:
        return self.name or self.asset + (f" from {self.since.isoformat()}" if self.since else "")

    @property
    def row(self) -> dict[str, object]:
        """As the table of policies holds it, but for when it was recorded."""
        plain = ("asset", "exclude", "price", "currency", "bound", "same_as", "since", "until", "approver")
        return {"name": self.called} | {name: getattr(self, name) for name in plain}

    def meets(self, other: Policy) -> bool:
        """Both speak of one asset at some instant."""
        apart = (self.until and other.since and self.until <= other.since) or (other.until and self.since and other.until <= self.since)
        return self.asset == other.asset and not apart


Columns = Mapping[str, Literal["native_code", "balance", "price", "currency", "value", "as_of", "ignore"]]
_COLUMNS: Columns = {
    "portfolio": "ignore",
    "currency": "native_code",
    "balance": "balance",
    "balance unit": "ignore",
    "price": "price",
    "price unit": "currency",
    "value": "value",
    "value unit": "ignore",
    "as of": "as_of",
}


class BalanceReport(Frozen):
    """How Coinbase's own balance reports are read: nobody publishes the header of their CSV."""

    columns: Columns = Field(default=_COLUMNS, description="heading in the file → what it is, or ignore; one that is not here is refused")
    wait: float = Field(default=600.0, gt=0, description="seconds a report may take to be made")


class Opening(Frozen):
    """An asserted opening balance, with the document that proves it."""

    portfolio: Name = Field(description="a configured portfolio")
    native_code: str = Field(description="the venue's own code of the account")
    amount: Exact = Field(description="units held just before that instant")
    at: datetime = Field(description="the account is in the book from here on")
    document: str = Field(min_length=1, description="what proves it")

    @model_validator(mode="after")
    def _aware(self) -> Opening:
        if self.at.tzinfo is None:
            raise ValueError("at needs a time zone, as in 2025-01-01T00:00:00Z")
        return self


class Asset(Frozen):
    """Overrides assets.toml for one native code of a venue."""

    venue: Literal["coinbase", "cryptofuse", "pacifica"] = Field(description="whose code it is")
    native_code: Code = Field(description="the venue's own code")
    asset: Code = Field(description="what it is in the book")
    network: str | None = Field(default=None, description="the network the code names")
    asset_class: Literal["fiat", "stable", "crypto"] = Field(default="crypto", alias="class", description="what kind of asset it is")


class Smtp(Frozen):
    """Where mail is handed over when a report is ready or failed."""

    host: str = Field(min_length=1, description="the mail server")
    port: int = Field(default=587, ge=1, le=65535, description="its port")
    security: Literal["starttls", "tls", "none"] = Field(default="starttls", description="how the line is encrypted")
    sender: str = Field(min_length=3, description="the address mail comes from")
    user: str | None = Field(default=None, description="who logs in")
    password: SecretStr | None = Field(default=None, description="with what")
    timeout: float = Field(default=20.0, gt=0, description="seconds a mail may take")


class Reports(Frozen):
    """The Reports API: where it listens, how much it takes on, how long its links live."""

    host: str = Field(default="127.0.0.1", description="the address to listen on")
    port: int = Field(default=8321, ge=1, le=65535, description="the port to listen on")
    url: Url | None = Field(default=None, description="how people reach it, where that is not host and port")
    open_requests: int = Field(default=20, ge=1, description="requests of one key that may wait at a time")
    link_days: int = Field(default=7, ge=1, description="days a link to a report works")
    smtp: Smtp | None = None


class Alerts(Frozen):
    """Who is told when a run fails, a check blocks or a portfolio is not pulled: once per cause, by the daemon of `closebook ui`."""

    email: str | None = Field(default=None, min_length=3, description="an address; mail goes by the server of [reports.smtp]")
    webhook: SecretStr | None = Field(default=None, description="where {text} is posted as JSON; env:NAME, file:PATH, or clear on loopback")
    timeout: float = Field(default=20.0, gt=0, description="seconds the webhook may take")


class Config(Frozen):
    """One configuration file, complete by itself."""

    book: Book
    calendar: tuple[Calendar, ...] = ()
    portfolio: tuple[Portfolio, ...] = Field(min_length=1)
    pull: Pulling = Pulling()
    prices: Prices = Prices()
    balance_report: BalanceReport = BalanceReport()
    policy: tuple[Policy, ...] = ()
    opening: tuple[Opening, ...] = ()
    asset: tuple[Asset, ...] = ()
    reports: Reports = Reports()
    alerts: Alerts = Alerts()

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        names = [p.name for p in self.portfolio]
        if len(set(names)) < len(names):
            raise ValueError("two portfolios share a name")
        if twice := _opened_twice(self.portfolio):
            raise ValueError(f"{twice} open the same: one portfolio under two names doubles the book")
        if twice := _first_twice([(o.portfolio, o.native_code) for o in self.opening]):
            raise ValueError(f"two [[opening]] of one account: {twice}")
        if twice := _first_twice([(a.venue, a.native_code) for a in self.asset]):
            raise ValueError(f"two [[asset]] of one code: {twice}")
        if strange := {o.portfolio for o in self.opening} - set(names):
            raise ValueError(f"[[opening]] names no configured portfolio: {sorted(strange)}")
        if strange := set(self.book.calendars) - {c.name for c in self.calendars(everything=True)}:
            raise ValueError(f"[book] calendars names no [[calendar]]: {sorted(strange)}")
        if clash := _policies_clash(self.policy):
            raise ValueError(clash)
        return self

    def calendars(self, everything: bool = False) -> tuple[Calendar, ...]:
        """The calendars the book is closed in; `utc` and `new_york` need no declaration."""
        builtin = {"utc": Calendar(name="utc"), "new_york": Calendar(name="new_york", timezone="America/New_York", cut_off=time(17))}
        known = builtin | {c.name: c for c in self.calendar}
        return tuple(c for n, c in known.items() if everything or n in self.book.calendars)


def _first_twice(pairs: Sequence[tuple[str, str]]) -> str:
    return next((" ".join(pair) for n, pair in enumerate(pairs) if pair in pairs[:n]), "")


def _policies_clash(policies: Sequence[Policy]) -> str:
    """Why no reader could say which policy holds."""
    for one, other in combinations(policies, 2):
        if one.called == other.called:
            return f"two policies are called {one.called!r}"
        if one.meets(other):
            return f"the policies {one.called!r} and {other.called!r} speak of {one.asset} at the same time"
    chained = {p.same_as for p in policies} & {p.asset for p in policies if p.same_as}
    return f"{sorted(map(str, chained))} are priced as others, and others as them: name the last one" if chained else ""


def _opened_twice(portfolios: Iterable[Portfolio]) -> str:
    """The first two names that one key, or one address, stands under. Keys that only turn out to be equal are found by the pull."""
    opened: dict[tuple[str, str, str], str] = {}
    for p in portfolios:
        key = (
            p.account
            if isinstance(p, PacificaPortfolio)
            else (p.key if isinstance(p, CoinbasePortfolio) else p.client_id).get_secret_value()
        )
        if (first := opened.setdefault((p.venue, p.base_url.lower(), key), p.name)) != p.name:
            return f"{first} and {p.name}"
    return ""


def load(path: Path) -> Config:
    """The configuration at `path`; ConfigError says which entry is wrong and how."""
    try:
        return Config.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigError(f"There is no configuration at {path}.", "Name one with --config, or see README for an example.") from None
    except (OSError, UnicodeDecodeError) as unreadable:
        raise ConfigError(f"The configuration {path} cannot be read: {unreadable}.", "Mend its rights or its encoding.") from None
    except tomllib.TOMLDecodeError as broken:
        raise ConfigError(f"The configuration {path} is not TOML: {broken}.", "Mend that line.") from None
    except ValidationError as invalid:
        raise ConfigError(f"The configuration {path} is wrong: {_first(invalid)}.", "Mend that entry.") from None


def _first(invalid: ValidationError) -> str:
    """The first complaint, with its place and without the input: it may be a secret."""
    error: Any = invalid.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in error["loc"]) or "the file"
    more = invalid.error_count() - 1
    return f"{place}: {error['msg'].removeprefix('Value error, ')}" + (f" (and {more} more)" if more else "")


def reveal(value: SecretStr, base_url: str, owner: str) -> str:
    """A secret from `env:NAME` or `file:PATH` (mode 0600); in clear for a loopback address only."""
    kind, _, rest = value.get_secret_value().partition(":")
    if kind == "env" and rest:
        if not (found := os.environ.get(rest)):
            raise ConfigError(f"The environment variable {rest} of {owner} is not set.", "Export it, then run again.")
        return found
    if kind == "file" and rest:
        return _from_file(Path(rest), owner)
    if not is_loopback(base_url):
        raise ConfigError(f"A secret of {owner} stands in clear in the configuration.", "Write env:NAME or file:PATH instead.")
    return value.get_secret_value()


def _from_file(path: Path, owner: str) -> str:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(f"The secret file {path} of {owner} can be read by others.", f"chmod 600 {path}")
        return path.read_text(encoding="utf-8").strip()
    except OSError as unreadable:
        raise ConfigError(f"The secret file {path} of {owner} cannot be read: {unreadable.strerror}.", "Mend the path.") from None


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
