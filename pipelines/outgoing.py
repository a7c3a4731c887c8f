"""`closebook register | completeness | verify`: what was issued, what proves it, what its receiver checks. See also `issuing`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipelines.options import ConfigOption, HomeOption, day_of, home_of, said

if TYPE_CHECKING:
    from pipelines.home import Home
    from pipelines.statements import Question

app = typer.Typer()

LISTED = ("number", "state", "as_of", "issued_by", "issued_at", "publication_id", "supersedes", "reason", "bundle_sha256")


def issue(home: Home, asked: Question, by: str, reason: str, out: Path) -> None:
    """Issue a statement and write its bundle and PDF."""
    from pipelines import issuing, publications
    from pipelines.warehouse import now

    why = said(reason, "--reason") if reason else ""
    with publications.newest(home) as newest:
        issued = issuing.issue(home, newest, asked, said(by, "--issued-by"), why, now)
    what = "was issued before; these are its bytes" if issued.again else f"is issued, {issued.record.words['state']}"
    print(f"No. {issued.number} {what}:")
    for path in issuing.write(home, issued.record, out):
        print(path)


def remind(home: Home, asked: Question) -> None:
    """What was issued of the same instant, where something was: a draft beside it is another document."""
    from pipelines import issuing
    from pipelines.journal import Journal

    if number := issuing.issued_of(Journal(home.journal), asked):
        typer.echo(f"No. {number} was issued of this; `closebook register {number} --out DIR` gives its bytes. This is a draft.", err=True)


@app.command()
def register(
    number: Annotated[str | None, typer.Argument(help="An issued statement, as ACME-2025-01/1.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write its stored bundle and PDF to this folder.")] = None,
    key: Annotated[bool, typer.Option("--key", help="Show the public key that statements are signed with.")] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """What was issued, by whom, in which state; one of them again, byte for byte."""
    from pipelines import issuing, screen
    from pipelines import register as kept
    from pipelines.journal import Journal
    from pipelines.tables import STATEMENTS

    house = home_of(home)
    journal = Journal(house.journal)
    if key:
        print(issuing.signer(house).public)
    elif number and out:
        for path in issuing.write(house, kept.find(journal, number), out):
            print(path)
    else:
        listed = [row for row in kept.rows(journal) if number in (None, row["number"])]
        screen.console().print(screen.table(STATEMENTS.frame(listed).select(LISTED)))


@app.command()
def completeness(
    day: Annotated[str | None, typer.Option("--day", help="The end of this day; default the newest closed one.")] = None,
    calendar: Annotated[str, typer.Option("--calendar", help="Whose cut-off ends the day.")] = "utc",
    portfolio: Annotated[str | None, typer.Option("--portfolio", help="One portfolio; default all.")] = None,
    entity: Annotated[str | None, typer.Option("--entity", help="One entity; default all.")] = None,
    form: Annotated[Literal["table", "csv", "json", "pdf", "xlsx"], typer.Option("--format")] = "table",
    out: Annotated[Path, typer.Option("--out", help="The folder to write to; a table is printed.")] = Path(),
    config: ConfigOption = None,
    home: HomeOption = None,
) -> None:
    """What is behind each balance: population, openings, entries, chain, the venue's own figure, prices, checks, and what they prove."""
    from pipelines import comparing, decisions, filing, proof, publications, screen
    from pipelines.book import instant_of, newest_instants
    from pipelines.journal import Journal
    from pipelines.statements import Answer, Question, whose
    from pipelines.telling import telling

    house = home_of(home)
    with publications.newest(house) as newest:
        moment = instant_of(newest, day_of(day), calendar) if day else newest_instants(newest)[-1]
        with telling(house, newest, moment, calendar if day else None) as told:
            asked = Question(moment, None, portfolio, calendar=calendar, entity=whose(told, portfolio, entity))
            inbox, reports = decisions.issues(Journal(house.journal), told), comparing.kept(house, told, moment)
            answer = Answer(told, asked, inbox=inbox, reports=reports)
            if form == "table":
                screen.show_proof(proof.completeness(answer))
            else:
                print(filing.write_proof(answer, form, out))


@app.command()
def verify(
    bundles: Annotated[list[Path], typer.Argument(help="The .zip, or the folder it was unpacked to; several are checked as a chain.")],
    chain: Annotated[Path | None, typer.Option("--chain", help="A folder with the statements before it: a missing one is named.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="The issuer's public key, as `closebook register --key` shows it.")] = None,
) -> None:
    """Recompute every number of a bundle from its evidence, offline; name the first that differs, and a link that is missing."""
    from pipelines import filing

    found = filing.checked(bundles, chain, key)
    for line in found.said:
        print(line)
    raise typer.Exit(bool(found.wrong))
