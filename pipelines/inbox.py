"""`closebook issues | accept | lock | reopen | month | completeness`: a month's end. What they do is written in `decisions`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.errors import UsageError
from pipelines.options import ConfigOption, HomeOption, day_of, home_of

if TYPE_CHECKING:
    import polars as pl

    from pipelines.decisions import Kept
    from pipelines.home import Home
    from pipelines.journal import Journal

app = typer.Typer()

Calendar = Annotated[str, typer.Option("--calendar", help="Whose days.")]
By = Annotated[str, typer.Option("--by", help="Who answers for it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]

ISSUES = (
    "issue",
    "matter",
    "portfolio",
    "native_code",
    "since",
    "until",
    "amount",
    "says",
    "age_days",
    "state",
    "accepted_by",
    "resolved_by",
)
PROOF = (
    "portfolio", "native_code", "opening", "document", "entries", "pages", "first_event_at", "last_event_at", "breaks", "read_through",
    "live_balance", "computed_balance", "tie_out", "balance_status", "movements_status", "status_reasons",
)  # fmt: skip


@app.command()
def issues(
    everything: Annotated[bool, typer.Option("--all", help="Also what was accepted.")] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """The inbox: what stands between the book and a lock, and what would resolve it."""
    import polars as pl

    from pipelines import decisions, publications

    house = home_of(home)
    with publications.newest(house) as newest:
        found = decisions.issues(_journal(house), newest)
        calendars = newest.sql("SELECT calendar FROM calendars ORDER BY calendar")["calendar"]
        later = {calendar: decisions.post_close(_journal(house), newest, _kept(house), calendar) for calendar in calendars}
    listed = found if everything else found.filter(state="OPEN")
    _print(listed.select(ISSUES))
    print(f"{listed.height} listed, {found.filter(state='ACCEPTED').height} accepted.")
    for calendar, frame in later.items():
        if not frame.is_empty():
            print("Known since the lock (post-close items):")
            _print(frame)
            ends = [lock.last for lock in decisions.locks(_journal(house), calendar)]
            at_the_end = frame.lazy().filter(pl.col("locked_day").is_in(ends))
            totals = at_the_end.select("currency_now", "value_change").group_by("currency_now").sum().sort("currency_now").collect()
            for currency, change in totals.iter_rows():
                print(f"Cumulative: {currency or 'unpriced'} {change.normalize():f}")


@app.command()
def accept(
    issue: Annotated[str, typer.Argument(help="As `issues` lists it.")],
    by: By,
    reason: Reason,
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """Accept an issue as it stands, with a name and a reason."""
    from pipelines import decisions, publications

    house = home_of(home)
    with publications.newest(house) as newest:
        record = decisions.accept(_journal(house), newest, issue, _said(by, "--by"), _said(reason, "--reason"), _now())
    print(f"Accepted {issue}: {record.name}")


@app.command()
def lock(
    through: Annotated[str, typer.Option("--through", help="The last day to lock, as 2025-01-31.")],
    by: By,
    reason: Reason = "month end",
    calendar: Calendar = "utc",
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """Lock every day through this one as it is known now; later knowledge no longer changes what they show."""
    from pipelines import decisions, publications

    house = home_of(home)
    with publications.newest(house) as newest:
        record = decisions.lock(_journal(house), newest, calendar, day_of(through), _said(by, "--by"), _said(reason, "--reason"), _now())
    print(f"Locked {record.words['first']} through {through} as known at {record.words['known_at']}: {record.name}")


@app.command()
def revise(
    through: Annotated[str, typer.Option("--through", help="The last day of the lock to be made anew.")],
    by: By,
    reason: Reason,
    calendar: Calendar = "utc",
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """Lock the same days again as they are known now; what was issued stays, the next statement is a new version."""
    from pipelines import decisions, publications

    house = home_of(home)
    with publications.newest(house) as newest:
        record = decisions.revise(
            _journal(house),
            newest,
            _kept(house),
            calendar,
            day_of(through),
            _said(by, "--by"),
            _said(reason, "--reason"),
            _now(),
        )
    print(f"Revised {record.words['first']} through {through} as known at {record.words['known_at']}: {record.name}")


@app.command()
def carry(
    item: Annotated[str, typer.Argument(help="A post-close item, as `issues` lists it.")],
    by: By,
    reason: Reason,
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """Leave a locked day as it is: its post-close item belongs to the open period."""
    from pipelines import decisions, publications

    house = home_of(home)
    with publications.newest(house) as newest:
        record = decisions.carry(_journal(house), newest, _kept(house), item, _said(by, "--by"), _said(reason, "--reason"), _now())
    print(f"Carried {item}: {record.name}")


@app.command()
def reopen(
    day: Annotated[str, typer.Option("--from", help="The first day to open again.")],
    by: By,
    reason: Reason,
    calendar: Calendar = "utc",
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """Open locked days again, from this one on."""
    from pipelines import decisions

    record = decisions.reopen(_journal(home_of(home)), calendar, day_of(day), _said(by, "--by"), _said(reason, "--reason"), _now())
    print(f"Open again from {day} on: {record.name}")


@app.command()
def completeness(config: ConfigOption = None, home: HomeOption = None) -> None:
    """What is behind each account's newest balance, and what it proves."""
    from pipelines import publications

    with publications.newest(home_of(home)) as newest:
        found = newest.sql("SELECT * FROM completeness_report ORDER BY portfolio, native_code")
    stale = found.filter(balance_status="STALE")["portfolio"].unique().sort().to_list()
    print(f"Portfolios: {found['portfolio'].n_unique()} in the book, not read through the newest cut-off: {', '.join(stale) or 'none'}.")
    print("What exists at the venues and is in nobody's book is what `closebook doctor` asks them.")
    _print(found.select(PROOF))
    print("An unbroken chain proves net change, not that every gross movement is present: two rows that cancel can be missing together.")


@app.command()
def month(
    which: Annotated[str, typer.Argument(help="The month, as 2025-01.")],
    calendar: Calendar = "utc",
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """The month's closing checklist: closed, priced, proved, accepted, locked, changed since."""
    from pipelines import decisions, publications

    house = home_of(home)
    with publications.newest(house) as newest:
        for done, said in decisions.checklist(_journal(house), newest, _kept(house), calendar, day_of(f"{which}-01")):
            print(f"{'done' if done else 'OPEN'}  {said}")


def _journal(home: Home) -> Journal:
    from pipelines.journal import Journal

    return Journal(home.journal)


def _kept(home: Home) -> Kept:
    from functools import partial

    from pipelines import publications

    return partial(publications.version, home)


def _now() -> datetime:
    return datetime.now(UTC)


def _said(text: str, option: str) -> str:
    if not text.strip():
        raise UsageError(f"{option} is empty.", "A decision needs a name and a reason.")
    if not text.isprintable():
        raise UsageError(f"{option} holds characters that cannot be printed.", "Write it in plain words, in UTF-8.")
    return text.strip()


def _print(frame: pl.DataFrame) -> None:
    from pipelines import screen

    screen.console().print(screen.table(frame))
