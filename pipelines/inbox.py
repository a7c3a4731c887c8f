"""`closebook issues | accept | assign | adjust | lock | …`: a month's end. What they do is written in `decisions` and `adjusting`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.options import ConfigOption, HomeOption, day_of, home_of, instant_of, said

if TYPE_CHECKING:
    import polars as pl

    from pipelines.journal import Journal
    from pipelines.postclose import Kept
    from pipelines.publications import Publication

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
    "owner",
    "state",
    "accepted_by",
    "resolved_by",
)


@app.command()
def issues(
    everything: Annotated[bool, typer.Option("--all", help="Also what was accepted.")] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """The inbox: what stands between the book and a lock, and what would resolve it."""
    import polars as pl

    from pipelines import decisions, postclose

    with _desk(home) as (journal, newest, kept):
        found = decisions.issues(journal, newest)
        calendars = newest.sql("SELECT calendar FROM calendars ORDER BY calendar")["calendar"]
        later = {calendar: postclose.post_close(journal, newest, kept, calendar) for calendar in calendars}
        sums = {calendar: postclose.cumulative(journal, newest, calendar, frame) for calendar, frame in later.items()}
    standing = found.filter(pl.col("matter") != "POST_CLOSE")  # those are told below, as of now
    listed = standing if everything else standing.filter(state="OPEN")
    _print(listed.select(ISSUES))
    print(f"{listed.height} listed, {found.filter(state='ACCEPTED').height} accepted.")
    for calendar, frame in later.items():
        if not frame.is_empty():
            print("Known since the lock (post-close items):")
            _print(frame)
            for currency, change, most in sums[calendar].iter_rows():
                print(f"Cumulative: {currency} {change.normalize():f}" + (f"; material above {most.normalize():f}" if most else ""))


@app.command()
def accept(
    issue: Annotated[str, typer.Argument(help="As `issues` lists it.")],
    by: By,
    reason: Reason,
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """Accept an issue as it stands, with a name and a reason."""
    from pipelines import decisions

    with _desk(home) as (journal, newest, _):
        record = decisions.accept(journal, newest, issue, *_signed(by, reason))
    print(f"Accepted {issue}: {record.name}")


@app.command()
def assign(
    issue: Annotated[str, typer.Argument(help="As `issues` lists it.")],
    to: Annotated[str, typer.Option("--to", help="Who is to resolve it.")],
    by: By,
    reason: Reason = "assigned",
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """Say who is to resolve an issue; without it, the owner of its portfolio in the configuration."""
    from pipelines import decisions

    with _desk(home) as (journal, newest, _):
        decisions.assign(journal, newest, issue, said(to, "--to"), *_signed(by, reason))
    print(f"{issue} is {to}'s.")


@app.command()
def adjust(
    portfolio: Annotated[str, typer.Option("--portfolio", help="Whose account.")],
    code: Annotated[str, typer.Option("--code", help="Which account: the venue's own code.")],
    amount: Annotated[str, typer.Option("--amount", help="Signed, in units: what is held beside what the venue reports.")],
    at: Annotated[str, typer.Option("--at", help="From when on it counts, as 2025-02-03T00:00:00Z.")],
    by: By,
    approver: Annotated[str, typer.Option("--approver", help="Who approved it: another person.")],
    reason: Reason,
    document: Annotated[str, typer.Option("--document", help="What it rests on; of a file, its hash is noted too.")],
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """Note what an account holds beside what its venue reports: no balance changes, the roll-forward has a column for it."""
    from pipelines.adjusting import Adjustment, adjust, amount_of, resting_on

    who, why, now = _signed(by, reason)
    approved, paper = said(approver, "--approver"), resting_on(said(document, "--document"))
    made = Adjustment(portfolio, code, instant_of(at, "--at"), amount_of(amount), approved, why, paper)
    with _desk(home) as (journal, newest, _):
        record = adjust(journal, newest, made, who, now)
    print(f"Adjusted {portfolio} {code} by {amount}: {record.name}. `closebook run` publishes it.")


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
    from pipelines import decisions

    with _desk(home) as (journal, newest, kept):
        record = decisions.lock(journal, newest, kept, calendar, day_of(through), *_signed(by, reason))
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
    from pipelines import decisions

    with _desk(home) as (journal, newest, kept):
        record = decisions.revise(journal, newest, kept, calendar, day_of(through), *_signed(by, reason))
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
    from pipelines import decisions

    with _desk(home) as (journal, newest, kept):
        record = decisions.carry(journal, newest, kept, item, *_signed(by, reason))
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
    from pipelines.journal import Journal

    record = decisions.reopen(Journal(home_of(home).journal), calendar, day_of(day), *_signed(by, reason))
    print(f"Open again from {day} on: {record.name}")


@app.command()
def month(
    which: Annotated[str, typer.Argument(help="The month, as 2025-01.")],
    calendar: Calendar = "utc",
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """The month's closing checklist: closed, priced, proved, accepted, locked, changed since."""
    from pipelines import decisions

    with _desk(home) as (journal, newest, kept):
        for done, words in decisions.checklist(journal, newest, kept, calendar, day_of(f"{which}-01")):
            print(f"{'done' if done else 'OPEN'}  {words}")


@contextmanager
def _desk(path: Path | None) -> Iterator[tuple[Journal, Publication, Kept]]:
    """What is decided on: the journal, the newest publication, and any that is kept."""
    from functools import partial

    from pipelines import publications
    from pipelines.journal import Journal

    home = home_of(path)
    with publications.newest(home) as newest:
        yield Journal(home.journal), newest, partial(publications.version, home)
    publications.keep_locked(home)


def _signed(by: str, reason: str) -> tuple[str, str, datetime]:
    """Who decides, why, and when."""
    return said(by, "--by"), said(reason, "--reason"), datetime.now(UTC)


def _print(frame: pl.DataFrame) -> None:
    from pipelines import screen

    screen.console().print(screen.table(frame))
