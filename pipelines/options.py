"""What the options of commands mean, whatever the command: which configuration, whose home, which day. Slow imports wait for it."""

from __future__ import annotations

from datetime import date
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

    return Home((path or Environment().home).absolute())


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
