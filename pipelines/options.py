"""What the options of commands mean, whatever the command: which configuration, whose home, which day. Slow imports wait for it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.errors import UsageError

if TYPE_CHECKING:
    from pipelines.home import Home

ConfigOption = Annotated[Path | None, typer.Option("--config", help="The configuration; default closebook.toml or $CLOSEBOOK_CONFIG.")]
HomeOption = Annotated[Path | None, typer.Option("--home", help="Where the book lives; default data or $CLOSEBOOK_HOME.")]


def config_of(path: Path | None) -> Path:
    from pipelines.config import Environment

    return path or Environment().config


def home_of(path: Path | None) -> Home:
    from pipelines.config import Environment
    from pipelines.home import Home

    home = Home((path or Environment().home).absolute())
    home.require_possible()
    return home


def said(text: str, option: str) -> str:
    """A person's words."""
    if not text.strip():
        raise UsageError(f"{option} is empty.", "A decision needs a name and a reason.")
    if not text.isprintable():
        raise UsageError(f"{option} holds characters that cannot be printed.", "Write it in plain words, in UTF-8.")
    return text.strip()


def day_of(text: str) -> date:
    from pipelines.config import EARLIEST, LATEST

    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a day.", "Write it as 2025-01-31.") from None
    if not EARLIEST <= day < LATEST:
        raise UsageError(f"{text} lies outside any book.", "Ask for a day that has passed.")
    return day


def instant_of(text: str, option: str) -> datetime:
    from pipelines.config import EARLIEST

    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or (moment.microsecond and option != "--known-at"):
            raise ValueError(text)
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"{option} {text!r} is not an instant in whole seconds.", "Write it as 2025-02-01T00:00:00Z.") from None
    if moment.date() < EARLIEST:
        raise UsageError(f"{option} {text} lies before any book.", "Ask for a later one.")
    if moment > datetime.now(UTC) and option != "--now":
        raise UsageError(f"{option} {text} lies in the future.", "Ask for one that has passed.")
    return moment
