"""`closebook issues | accept | assign | adjust | lock | …`: a month's end. What they do is written in `decisions` and `adjusting`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.options import ConfigOption, HomeOption, day_of, home_of, instant_of, said

if TYPE_CHECKING:
    import polars as pl

    from pipelines.home import Home
    from pipelines.journal import Journal
    from pipelines.postclose import Kept

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

    from pipelines import decisions, postclose, publications

    house = home_of(home)
    with publications.newest(house) as newest:
        found = decisions.issues(_journal(house), newest)
        calendars = newest.sql("SELECT calendar FROM calendars ORDER BY calendar")["calendar"]
        later = {calendar: postclose.post_close(_journal(house), newest, _kept(house), calendar) for calendar in calendars}
        sums = {calendar: postclose.cumulative(_journal(house), newest, calendar, frame) for calendar, frame in later.items()}
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
    from pipelines import decisions, publications

    house = home_of(home)
    with publications.newest(house) as newest:
        record = decisions.accept(_journal(house), newest, issue, said(by, "--by"), said(reason, "--reason"), _now())
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
    from pipelines import decisions, publications

    house = home_of(home)
    with publications.newest(house) as newest:
        owner = said(to, "--to")
        decisions.assign(_journal(house), newest, issue, owner, said(by, "--by"), said(reason, "--reason"), _now())
    print(f"{issue} is {owner}'s.")


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
    from pipelines import publications
    from pipelines.adjusting import Adjustment, adjust, amount_of, resting_on

    house = home_of(home)
    words = {"--approver": approver, "--reason": reason, "--document": document}
    approved, why, paper = (said(text, option) for option, text in words.items())
    made = Adjustment(portfolio, code, instant_of(at, "--at"), amount_of(amount), approved, why, resting_on(paper))
    with publications.newest(house) as newest:
        record = adjust(_journal(house), newest, made, said(by, "--by"), _now())
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
    from pipelines import decisions, publications

    house = home_of(home)
    with publications.newest(house) as newest:
        who, why = said(by, "--by"), said(reason, "--reason")
        record = decisions.lock(_journal(house), newest, _kept(house), calendar, day_of(through), who, why, _now())
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
            said(by, "--by"),
            said(reason, "--reason"),
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
        record = decisions.carry(_journal(house), newest, _kept(house), item, said(by, "--by"), said(reason, "--reason"), _now())
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

    record = decisions.reopen(_journal(home_of(home)), calendar, day_of(day), said(by, "--by"), said(reason, "--reason"), _now())
    print(f"Open again from {day} on: {record.name}")


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


def _print(frame: pl.DataFrame) -> None:
    from pipelines import screen

    screen.console().print(screen.table(frame))
