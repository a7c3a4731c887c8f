"""closebook.toml → one Config, consistent in itself, or a ConfigError that says which entry is wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from datetime import time
from itertools import combinations
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipelines.config.books import Asset, Book, Calendar, Opening, Policy, Rates, Statements
from pipelines.config.kinds import Frozen
from pipelines.config.people import Alerts, Mail, Reports
from pipelines.config.venues import BalanceReport, CoinbasePortfolio, PacificaPortfolio, Portfolio, Prices, Pulling
from pipelines.errors import ConfigError


class Environment(BaseSettings):
    """The two variables every command understands; command-line options win over them."""

    model_config = SettingsConfigDict(env_prefix="CLOSEBOOK_")
    config: Path = Path("closebook.toml")
    home: Path = Path("data")


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
    rates: tuple[Rates, ...] = ()
    statements: Statements = Statements()
    reports: Reports = Reports()
    mail: Mail | None = None
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
        for kind, asked in (("name", self.statements.portfolios), ("entity", self.statements.entities)):
            if strange := set(asked) - {getattr(p, kind) for p in self.portfolio}:
                raise ValueError(f"[statements] names what no [[portfolio]] has: {sorted(strange)}")
        if strange := set(self.book.calendars) - {c.name for c in self.calendars(everything=True)}:
            raise ValueError(f"[book] calendars names no [[calendar]]: {sorted(strange)}")
        if stray := _rates_stray(self.book.reporting_currency, [r.currency for r in self.rates]):
            raise ValueError(stray)
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


def _rates_stray(reporting: str | None, currencies: Sequence[str]) -> str:
    if (reporting is None) == bool(currencies):
        return "[book] reporting_currency and [[rates]] need each other: what values are told in, and at which rates"
    if reporting in currencies or len(set(currencies)) < len(currencies):
        return "[[rates]] convert each currency once, and the reporting currency not at all"
    return ""


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
        return _beside(path, Config.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))))
    except FileNotFoundError:
        raise ConfigError(f"There is no configuration at {path}.", "Name one with --config, or see README for an example.") from None
    except IsADirectoryError:
        raise ConfigError(f"{path.absolute()} is a directory, not a configuration.", "Name the file with --config.") from None
    except (OSError, UnicodeDecodeError) as unreadable:
        raise ConfigError(f"The configuration {path} cannot be read: {unreadable}.", "Mend its rights or its encoding.") from None
    except tomllib.TOMLDecodeError as broken:
        raise ConfigError(f"The configuration {path} is not TOML: {broken}.", "Mend that line.") from None
    except ValidationError as invalid:
        raise ConfigError(f"The configuration {path} is wrong: {_first(invalid)}.", "Mend that entry.") from None


def _beside(path: Path, config: Config) -> Config:
    """Files that are named in a configuration lie beside it."""
    rates = tuple(r.model_copy(update={"file": path.absolute().parent / r.file}) for r in config.rates)
    return config.model_copy(update={"rates": rates})


def _first(invalid: ValidationError) -> str:
    """The first complaint, with its place and without the input: it may be a secret."""
    error: Any = invalid.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in error["loc"]) or "the file"
    more = invalid.error_count() - 1
    return f"{place}: {error['msg'].removeprefix('Value error, ')}" + (f" (and {more} more)" if more else "")
