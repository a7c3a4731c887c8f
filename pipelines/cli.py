"""`closebook …`: options in, one call, exit code out. What a command does is written elsewhere; slow imports wait for it."""

from __future__ import annotations

import os
import sqlite3
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipelines import __version__, inbox, outgoing, upkeep
from pipelines.errors import ClosebookError, MachineError, UsageError
from pipelines.options import ConfigOption, HomeOption, config_of, day_of, home_of, instant_of
from pipelines.reports import commands as reports

if TYPE_CHECKING:
    from pipelines.book import Snapshot
    from pipelines.home import Home
    from pipelines.publications import Publication

app = typer.Typer(name="closebook", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
app.add_typer(reports.app, name="reports")
app.add_typer(outgoing.app)
app.add_typer(inbox.app)
app.add_typer(upkeep.app)

AsOf = Annotated[str | None, typer.Option("--as-of", help="The exclusive instant, as 2025-02-01T00:00:00Z.")]
Day = Annotated[str | None, typer.Option("--day", help="The end of this day, as 2025-01-31.")]
Calendar = Annotated[str, typer.Option("--calendar", help="Whose cut-off ends the day.")]
KnownAt = Annotated[str | None, typer.Option("--known-at", help="Only what was known at this instant.")]
PortfolioOption = Annotated[str | None, typer.Option("--portfolio", help="One portfolio; default all.")]
EntityOption = Annotated[str | None, typer.Option("--entity", help="One entity; default the only one, or a subtotal for each.")]


By = Literal["portfolio", "asset"]


@app.callback()
def root(debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; any place on the line.")] = False) -> None:
    """End-of-day balance snapshots you can prove."""


@app.command()
def demo(days: Annotated[int, typer.Option(min=12, max=400, help="Days to close.")] = 30, home: HomeOption = None) -> None:
    """Close an invented month of six portfolios on three sandboxed venues, and show the book."""
    from pipelines.demo import show
    from pipelines.home import Home

    demo_home = home_of(home) if home else Home(home_of(None).root / "demo")
    outcome = show(demo_home, days)
    if not outcome.exit_code:
        _show_newest(demo_home)
        _say_what_next(demo_home)
    raise typer.Exit(outcome.exit_code)


@app.command()
def run(
    config: ConfigOption = None,
    home: HomeOption = None,
    through: Annotated[str | None, typer.Option("--through", help="Close no day after this one.")] = None,
) -> None:
    """Pull what is new and close every missing or dirty day, in one run."""
    from pipelines.running import run as close

    last = day_of(through) if through else None
    raise typer.Exit(close(config_of(config), home_of(home), last).exit_code)


@app.command()
def snapshot(
    as_of: AsOf = None,
    day: Day = None,
    calendar: Calendar = "utc",
    known_at: KnownAt = None,
    portfolio: PortfolioOption = None,
    by: By = "portfolio",
    form: Annotated[Literal["table", "csv", "json"], typer.Option("--format")] = "table",
    reporting: Annotated[bool, typer.Option("--reporting", help="Values in the reporting currency too, with rate and date.")] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """The book at any second, from the newest publication."""
    from pipelines import filing, screen

    if reporting and by != "portfolio":
        raise UsageError("--reporting tells the value of each account.", "Leave --by out.")
    found = _snapshot(home, as_of, day, calendar, known_at, portfolio, reporting)
    if form == "table":
        screen.show_book(found, by)
    else:
        sys.stdout.write(filing.body(found, by, form))


@app.command()
def statement(
    out: Annotated[Path, typer.Option("--out", help="The folder to write to.")],
    as_of: AsOf = None,
    day: Day = None,
    month: Annotated[
        str | None, typer.Option("--month", help="The end of this month, as 2025-01; its roll-forward is written too.")
    ] = None,
    since: Annotated[str | None, typer.Option("--from", help="A roll-forward from this instant to the as-of.")] = None,
    calendar: Calendar = "utc",
    known_at: KnownAt = None,
    portfolio: PortfolioOption = None,
    by: By = "portfolio",
    form: Annotated[Literal["csv", "json", "pdf", "xlsx", "parquet", "bundle"], typer.Option("--format")] = "csv",
    entity: EntityOption = None,
    issued_by: Annotated[str | None, typer.Option("--issued-by", help="Issue it: number, record and envelope; bundle and PDF.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why it is issued.")] = "",
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """Write a statement, or issue it; a file that exists is never overwritten, other numbers are the next version."""
    from pipelines import filing, publications, statements
    from pipelines.telling import telling

    opened = last = None
    if month:
        if as_of:
            raise UsageError("Which instant?", "Give --month, --day or --as-of, and one of them only.")
        with publications.newest(home_of(home)) as newest:
            opened, last = statements.month(newest, day_of(f"{month}-01"), calendar)
    with _telling(home, last.isoformat() if last else as_of, day, calendar, known_at) as (told, moment, known):
        whose = statements.whose(told, portfolio, entity)
        asked = statements.Question(moment, known, portfolio, by, calendar, instant_of(since, "--from") if since else opened, whose)
        if issued_by is not None:
            outgoing.issue(home_of(home), asked, issued_by, reason, out)
            return
        with telling(home_of(home), told, asked.since or moment, calendar, known) as opening:
            for path in filing.write_all(told, asked, form, out, both=since is None, opened=opening):
                print(path)
        outgoing.remind(home_of(home), asked)


@app.command()
def explain(
    portfolio: Annotated[str, typer.Option("--portfolio", help="The portfolio.")],
    asset: Annotated[str, typer.Option("--asset", help="The asset, or the venue's own code.")],
    as_of: AsOf = None,
    day: Day = None,
    calendar: Calendar = "utc",
    known_at: KnownAt = None,
    entries: Annotated[int, typer.Option("--entries", min=0, help="The newest so many entries; 0: all.")] = 20,
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """The entries and candles behind one number, the formula and its result."""
    from pipelines import explain

    with _telling(home, as_of, day, calendar, known_at) as (told, moment, known):
        for line in explain.explain(told, moment, portfolio, asset, known, entries):
            print(line)


@app.command()
def compare(
    portfolio: Annotated[str, typer.Option("--portfolio", help="A portfolio at coinbase.")],
    as_of: AsOf = None,
    day: Day = None,
    calendar: Calendar = "utc",
    again: Annotated[bool, typer.Option("--again", help="Order a new report, though one is kept.")] = False,
    form: Annotated[Literal["table", "csv"], typer.Option("--format")] = "table",
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """The venue's own balance report beside the published book, line by line; 1 where something is unexplained."""
    from pipelines import comparing, publications, screen
    from pipelines.config import load

    book = home_of(home)
    with publications.newest(book) as newest:
        moment = _moment(newest, as_of, day, calendar)
    found = comparing.compare(load(config_of(config)), book, portfolio, moment, again)
    screen.show_comparison(found.rows, found.refused, form)
    raise typer.Exit(bool(found.unexplained))


@app.command()
def sandbox(
    dataset: Annotated[Path, typer.Option("--dataset", help="The folder to replay.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 0,
    write_config: Annotated[Path | None, typer.Option("--write-config", help="Write a configuration for this sandbox.")] = None,
    faults: Annotated[Path | None, typer.Option("--faults", help="What goes wrong, and when.")] = None,
    now: Annotated[str | None, typer.Option("--now", help="The data clock; default the dataset's end.")] = None,
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """The three venues on loopback, replaying a dataset, until stopped."""
    from pipelines.sandbox.serve import run_forever

    run_forever(dataset, port, instant_of(now, "--now") if now else None, faults, write_config)


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
    read_only: Annotated[bool, typer.Option("--read-only", help="To look at: nothing can be started or changed.")] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """Dagster's web UI and daemon, on loopback, until stopped."""
    from pipelines.ui import serve

    book = home_of(home)
    settings = config_of(config) if config or book.kind() != "demo" else book.root / "closebook.toml"
    raise typer.Exit(serve(book, settings, port, read_only))


@app.command()
def doctor(config: ConfigOption = None, home: HomeOption = None) -> None:
    """Configuration, keys, reachability, disk, lock: what is wrong and what to do."""
    from pipelines.doctor import examine

    worst = 0
    for finding in examine(config_of(config), home_of(home)):
        print(f"{'ok  ' if not finding.exit_code else 'BAD '} {finding.subject}: {finding.said}")
        worst = worst or finding.exit_code
    raise typer.Exit(worst)


@app.command()
def version() -> None:
    """The version of this program."""
    print(f"closebook {__version__}")


def _snapshot(
    home: Path | None,
    as_of: str | None,
    day: str | None,
    calendar: str,
    known_at: str | None,
    portfolio: str | None,
    reporting: bool = False,
) -> Snapshot:
    from pipelines import book

    with _telling(home, as_of, day, calendar, known_at) as (told, moment, known):
        found = book.at(told, moment, known, portfolio)
        return book.reported(told, found) if reporting else found


@contextmanager
def _telling(
    home: Path | None, as_of: str | None, day: str | None, calendar: str, known_at: str | None
) -> Iterator[tuple[Publication, datetime, datetime | None]]:
    """The publication that tells the instant asked about, that instant, and whose knowledge is asked for."""
    from pipelines import publications
    from pipelines.telling import telling

    book = home_of(home)
    with publications.newest(book) as newest:
        moment = _moment(newest, as_of, day, calendar)
        known = instant_of(known_at, "--known-at") if known_at else None
        with telling(book, newest, moment, calendar if day else None, known) as told:
            yield told, moment, known


def _moment(newest: Publication, as_of: str | None, day: str | None, calendar: str) -> datetime:
    from pipelines import book

    if (as_of is None) == (day is None):
        raise UsageError("Which instant?", "Give either --as-of 2025-02-01T00:00:00Z or --day 2025-01-31.")
    if as_of:
        return instant_of(as_of, "--as-of")
    return instant_of(book.instant_of(newest, day_of(day or ""), calendar).isoformat(), "--day")


def _show_newest(home: Home) -> None:
    from pipelines import book, publications, screen

    with publications.newest(home) as newest:
        screen.show_book(book.at(newest, book.newest_instants(newest)[-1]), "portfolio")


def _say_what_next(home: Home) -> None:
    root = os.path.relpath(home.root)
    print(f"\nStatements: {root}/statements     SQL: duckdb -readonly {root}/published/closebook.duckdb")
    print(f"Next: closebook ui --home {root}     closebook snapshot --home {root} --day DAY --by asset")


def main() -> None:
    """Run a command; one sentence and an exit code for every error, a traceback only with --debug."""
    words = [word for word in sys.argv[1:] if word != "--debug"]
    code = _guarded(words, debug=len(words) < len(sys.argv) - 1)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # what DuckDB and Great Expectations print while the interpreter ends is noise


def _guarded(words: list[str], debug: bool) -> int:
    try:
        return int(app(words, standalone_mode=False) or 0)
    except typer.TyperException as wrong:
        said = wrong.format_message().replace("Value error, ", "").rstrip(".")  # it names the option as typed; str() does not
        print(f"closebook: {said}. See closebook --help.", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except Exception as error:
        if debug:
            traceback.print_exc()
        ours = _ours(error)
        print(f"closebook: {ours}", file=sys.stderr)
        return ours.exit_code


def _ours(error: BaseException) -> ClosebookError:
    """Every error as one of ours: this machine's as such, wherever it was wrapped; anything unforeseen as our bug."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, ClosebookError):
            return inner
        if isinstance(inner, (OSError, sqlite3.OperationalError)):
            return MachineError(f"This machine refused: {inner}.", "Make room or mend the rights, then run again.")
        inner = inner.__cause__
    return ClosebookError(
        f"This is a bug of ours: {type(error).__name__}: {error}.", "Run it again with --debug and report what it prints."
    )
