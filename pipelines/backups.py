"""A home ↔ one .tar that holds all that cannot be made again, and what was published. Taken while the pipeline runs.

The warehouse is left out: a run builds it anew from archive and journal. Files of the archive, the journal and the statements are
whole or not there, and never change; requests of the Reports API are copied by their database. So the copy is of one moment or
later, never of half a one. An archive that is not whole is not backed up: older backups that are whole would make way for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path

from pipelines import __version__
from pipelines.archive import Archive
from pipelines.errors import ConfigError, UsageError
from pipelines.home import MARK, Home, draft_of, machine_errors
from pipelines.publications import locked, path_of
from pipelines.warehouse import batches

MANIFEST = "backup.json"
LINK = "published/closebook.duckdb"
MOVING = ("-wal", "-shm", "-journal", ".lock")
"""Files of a database at work; its copy needs none of them."""


def backup(home: Home, target: Path) -> int:
    """Write the backup under its name, whole or not at all, for its owner's eyes only; the number of files in it."""
    if home.kind() is None:
        raise UsageError(f"{home.root} is no book's home.", "Name it with --home.")
    if target.exists():
        raise UsageError(f"{target} exists.", "Name a new file: a backup is never overwritten.")
    for fault in Archive(home.archive).faults(batches(home.publication)):
        raise fault
    draft = draft_of(target)
    try:
        with machine_errors(f"The backup {target} cannot be written"):
            hashes = _write(home, draft)
            draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return len(hashes)


def _write(home: Home, draft: Path) -> dict[str, str]:
    hashes: dict[str, str] = {}
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file, tarfile.open(fileobj=file, mode="w") as tar:
        for name, path in _files(home):
            hashes[name] = _add(tar, name, path)
        about = {"closebook": __version__, "link": os.readlink(home.publication) if home.publication.is_symlink() else "", "files": hashes}
        _add_bytes(tar, MANIFEST, json.dumps(about, indent=1).encode())
        file.flush()
        os.fsync(file.fileno())
    return hashes


def _files(home: Home) -> Iterator[tuple[str, Path]]:
    """What goes in: first the newest publication and those that days were locked with, for what they were made from is in the archive."""
    kept = {f"{name}.duckdb": path_of(home, int(name)) for name in locked(home)}
    if home.publication.exists():
        kept |= {(newest := home.publication.resolve()).name: newest}
    for name, path in sorted(kept.items()):
        yield f"published/versions/{name}", path
    for folder in (home.archive, home.journal, home.statements, home.reports):
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")):
            if not path.name.endswith(MOVING):
                yield str(path.relative_to(home.root)), path
    yield MARK, home.root / MARK


def _add(tar: tarfile.TarFile, name: str, path: Path) -> str:
    if path.suffix == ".sqlite":
        return _add_bytes(tar, name, _copied(path), 0o600)
    with path.open("rb") as file:
        info = tar.gettarinfo(arcname=name, fileobj=file)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        tar.addfile(info, file)
    return digest


def _add_bytes(tar: tarfile.TarFile, name: str, body: bytes, mode: int = 0o644) -> str:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(body), mode
    tar.addfile(info, BytesIO(body))
    return hashlib.sha256(body).hexdigest()


def _copied(database: Path) -> bytes:
    """A database at work, as it stands at one moment."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / database.name
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        return copy.read_bytes()


def restore(source: Path, home: Home) -> int:
    """Unpack a backup into an empty home, every file proved by its hash; nothing remains of one that is damaged."""
    if home.root.exists() and any(home.root.iterdir()):
        raise ConfigError(f"{home.root} is not empty.", "Name a new directory with --home.")
    if not source.is_file():
        raise UsageError(f"There is no backup at {source}.", "Name the file that `closebook backup` wrote.")
    with tempfile.TemporaryDirectory(dir=_parent(home), prefix=f".{home.root.name}.") as name:
        draft = Path(name) / "home"
        with machine_errors(f"The backup {source} cannot be unpacked"):
            count = _unpacked(source, draft)
            if home.root.exists():
                home.root.rmdir()
            draft.replace(home.root)
    home.move_in(home.kind() or "book")
    return count


def _parent(home: Home) -> Path:
    with machine_errors(f"The home {home.root} cannot be made"):
        home.root.parent.mkdir(parents=True, exist_ok=True)
    return home.root.parent


def _unpacked(source: Path, draft: Path) -> int:
    try:
        with tarfile.open(source) as tar:
            tar.extractall(draft, filter="data")
        about = json.loads((draft / MANIFEST).read_bytes())
        hashes: dict[str, str] = about["files"]
        wrong = [name for name, digest in hashes.items() if hashlib.sha256((draft / name).read_bytes()).hexdigest() != digest]
    except tarfile.ReadError:
        raise UsageError(f"{source} is no .tar, or one that is cut short.", "Name a file that `closebook backup` wrote.") from None
    except (tarfile.TarError, ValueError, KeyError, FileNotFoundError) as damaged:
        raise UsageError(f"{source} is no whole backup: {damaged}.", "Take another one.") from None
    if wrong:
        raise UsageError(f"{source} is damaged: {wrong[0]} does not have its hash.", "Take another one.")
    (draft / MANIFEST).unlink()
    if about["link"]:
        (draft / LINK).symlink_to(about["link"])
    return len(hashes)
