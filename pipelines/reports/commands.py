"""`closebook reports …`: the API served, its keys kept, its requests made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.errors import ConfigError, UsageError
from pipelines.options import ConfigOption, HomeOption, config_of, home_of

if TYPE_CHECKING:
    from pipelines.config import Mail, Reports
    from pipelines.home import Home
    from pipelines.reports.desk import Desk
    from pipelines.reports.keys import KeyRing

app = typer.Typer(no_args_is_help=True, help="The Reports API: statements by request.")
keys = typer.Typer(no_args_is_help=True, help="The API's keys: may view, nothing else.")
app.add_typer(keys, name="key")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option("--host", help="The address to listen on; default loopback.")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="0: any free port.")] = None,
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """The API on loopback, until stopped. It makes the reports itself while no daemon does."""
    from pipelines.reports.serve import serve as run

    desk = _desk(home, config)
    if not desk.vault.there():
        _say("There is no key yet: `closebook reports key add` makes one.")
    run(desk, host or desk.settings.host, desk.settings.port if port is None else port, _say)


@app.command()
def work(config: ConfigOption = None, home: HomeOption = None) -> None:
    """Make all pending reports once, and tell who wants to be told."""
    from pipelines.reports.making import drain

    ended = drain(_desk(home, config), _say)
    if ended is None:
        _say("Another process is making reports; it will make these too.")
    for row in ended or []:
        _say(f"{row['id']}  {row['status']}  {row['portfolio'] or 'all'}  {row['as_of']}  {row['form']}  {row['reason'] or ''}".rstrip())


@app.command()
def profiles(config: ConfigOption = None, home: HomeOption = None) -> None:
    """The profile_id of every portfolio."""
    from pipelines.reports.directory import Directory

    for portfolio, profile in Directory(_home(home)).names().profiles.items():
        _say(f"{profile}  {portfolio}")


@keys.command("add")
def add(
    portfolio: Annotated[list[str] | None, typer.Option("--portfolio", help="A portfolio it opens; may be repeated.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="It opens every portfolio, now and later.")] = False,
    label: Annotated[str, typer.Option("--label", help="Whose it is, for the list.")] = "",
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """A new key. Its secret and passphrase are shown once."""
    if everything == bool(portfolio):
        raise UsageError("Which portfolios does the key open?", "Give --portfolio, as often as needed, or --all.")
    book = _home(home)
    _require_known(book, portfolio or [])
    made = _ring(book).add(label, None if everything else portfolio)
    _say(f"key         {made.id}\nsecret      {made.secret}\npassphrase  {made.passphrase}")
    _say("This is shown once; keep it where secrets are kept.")


@keys.command("list")
def show(config: ConfigOption = None, home: HomeOption = None) -> None:
    """Every key, what it opens, and whether it is in use."""
    for key in _ring(_home(home)).all():
        opens = "all" if key.portfolios is None else ",".join(sorted(key.portfolios))
        until = f"  revoked {key.revoked_at}" if key.revoked_at else ""
        _say(f"{key.id}  view  {opens}  {key.label or '-'}  since {key.created_at}{until}")


@keys.command("revoke")
def revoke(key: Annotated[str, typer.Argument(help="Its id.")], config: ConfigOption = None, home: HomeOption = None) -> None:
    """End a key at once, and its links with it. What it had made stays on disk."""
    _ring(_home(home)).revoke(key)
    _say(f"{key} is revoked.")


def _require_known(home: Home, names: list[str]) -> None:
    from pipelines import publications
    from pipelines.tables import PORTFOLIOS

    with publications.newest(home) as newest:
        known = set(newest.read(PORTFOLIOS)["portfolio"])
    if strange := sorted(set(names) - known):
        raise UsageError(f"There is no portfolio {strange[0]!r} in this book.", f"It has {', '.join(sorted(known))}.")


def _ring(home: Home) -> KeyRing:
    from pipelines.reports.keys import KeyRing
    from pipelines.reports.store import Store
    from pipelines.reports.vault import Vault

    return KeyRing(Store(home), Vault(home.reports))


def _desk(home: Path | None, config: Path | None) -> Desk:
    from pipelines.reports.desk import Desk

    settings, mail = _settings(config)
    return Desk.of(_home(home), settings, mail=mail)


def _settings(path: Path | None) -> tuple[Reports, Mail | None]:
    """[reports] and [mail] of the configuration; their defaults where there is no configuration and none was named."""
    from pipelines.config import Reports, load

    wanted = config_of(path)
    try:
        config = load(wanted)
        return config.reports, config.mail
    except ConfigError:
        if path is None and not wanted.exists():
            return Reports(), None
        raise


def _home(path: Path | None) -> Home:
    home = home_of(path)
    if home.kind() is None:
        raise UsageError(f"There is no book at {home.root}.", "Run `closebook run` first, or name the home with --home.")
    return home


def _say(words: str) -> None:
    print(words, flush=True)
