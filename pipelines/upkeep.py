"""`closebook backup | restore | rebuild`. How a home is copied is written in `backups`, how a book is closed in `running`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.home import Home

app = typer.Typer()

ConfigOption = Annotated[Path | None, typer.Option("--config", help="The configuration; default closebook.toml or $CLOSEBOOK_CONFIG.")]
HomeOption = Annotated[Path | None, typer.Option("--home", help="Where the book lives; default data or $CLOSEBOOK_HOME.")]


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="The .tar to write.")], config: ConfigOption = None, home: HomeOption = None
) -> None:
    """Copy all that cannot be made again, and the publication, into one file; at any time, also while a run is going on."""
    from pipelines import backups

    count = backups.backup(_home(home), target)
    typer.echo(f"{target}: {count} files. It holds what the keys of the Reports API are sealed with: keep it like a secret.")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="The .tar of a backup.")], config: ConfigOption = None, home: HomeOption = None
) -> None:
    """Unpack a backup into a new home, every file proved by its hash."""
    from pipelines import backups

    book = _home(home)
    count = backups.restore(source, book)
    typer.echo(f"{book.root}: {count} files. `closebook rebuild` makes the warehouse, and so does the next `closebook run`.")


@app.command()
def rebuild(config: ConfigOption = None, home: HomeOption = None) -> None:
    """Make the warehouse anew from archive and journal, asking nobody, and close every day of it."""
    from pipelines.config import Environment
    from pipelines.running import rebuild as again

    raise typer.Exit(again(config or Environment().config, _home(home)).exit_code)


def _home(path: Path | None) -> Home:
    from pipelines.config import Environment
    from pipelines.home import Home

    return Home((path or Environment().home).absolute())
