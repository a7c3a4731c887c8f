"""`closebook backup | restore | rebuild`. How a home is copied is written in `backups`, how a book is closed in `running`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.options import ConfigOption, HomeOption, config_of, home_of

app = typer.Typer()


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="The .tar to write.")], config: ConfigOption = None, home: HomeOption = None
) -> None:
    """Copy all that cannot be made again, and the publication, into one file; at any time, also while a run is going on."""
    from pipelines import backups

    count = backups.backup(home_of(home), target)
    typer.echo(f"{target}: {count} files. It holds the keys that sign statements and seal the Reports API: keep it secret.")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="The .tar of a backup.")], config: ConfigOption = None, home: HomeOption = None
) -> None:
    """Unpack a backup into a new home, every file proved by its hash."""
    from pipelines import backups

    book = home_of(home)
    count = backups.restore(source, book)
    typer.echo(f"{book.root}: {count} files. `closebook rebuild` makes the warehouse, and so does the next `closebook run`.")


@app.command()
def rebuild(config: ConfigOption = None, home: HomeOption = None) -> None:
    """Make the warehouse anew from archive and journal, asking nobody, and close every day of it."""
    from pipelines.running import rebuild as again

    raise typer.Exit(again(config_of(config), home_of(home)).exit_code)
