"""Where one book lives on disk: its paths, its mark, its lock, the signs of life of its runs.

The lock is the kernel's (flock): it ends with the process that holds it, however that ends. No DuckDB here: opening and
closing a database file in the process that writes it would drop DuckDB's own lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import Busy, ConfigError, MachineError

MARK = "home.toml"
MAY_LIE_BESIDE = {"README.md", ".gitignore", ".gitkeep", "demo", "closebook.toml"}
LEAST_FREE = 64 * 2**20


@dataclass(frozen=True)
class Home:
    """A directory with one owner: a book, or the demo."""

    root: Path

    @property
    def archive(self) -> Path:
        return self.root / "archive"

    @property
    def journal(self) -> Path:
        return self.root / "journal"

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        return self.root / "published"

    @property
    def publication(self) -> Path:
        """The link people open; it always points at the newest checked file."""
        return self.published / "closebook.duckdb"

    @property
    def statements(self) -> Path:
        return self.root / "statements"

    @property
    def reports(self) -> Path:
        """Requests and keys of the Reports API, and the file that opens the keys' secrets."""
        return self.root / "reports"

    @property
    def dagster(self) -> Path:
        return self.root / "dagster"

    @property
    def lock(self) -> Path:
        return self.root / "run.lock"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    def kind(self) -> str | None:
        """`book` or `demo`; None where nobody has moved in."""
        try:
            return str(tomllib.loads((self.root / MARK).read_text())["kind"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError):
            raise ConfigError(
                f"The mark {self.root / MARK} cannot be read.", "This is not a home of this Closebook; name another with --home."
            ) from None

    def require_possible(self) -> None:
        """Refuse a path at which no directory is and none can be made, before anybody looks into it."""
        try:
            if not stat.S_ISDIR(self.root.stat().st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        except FileNotFoundError:
            return
        except OSError as refused:
            if refused.errno in (errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP):
                why = str(refused.strerror).lower()
                raise ConfigError(f"{self.root} cannot be a home: {why}.", "Name a directory with --home.") from None
            raise

    def owner(self) -> str | None:
        """Its kind; None where a book may move in; refused where somebody else lives."""
        kind = self.kind()
        if kind is None and self._holds_strange_files():
            raise ConfigError(
                f"The directory {self.root} holds files that are not a book's.", "Name an empty or a new directory with --home."
            )
        return kind

    def move_in(self, kind: str) -> None:
        """Create and mark the home; refuse one that is somebody else's."""
        owner = self.owner()
        if owner not in (None, kind):
            raise ConfigError(f"The home {self.root} belongs to a {owner}, not to a {kind}.", "Name another directory with --home.")
        with machine_errors(f"The home {self.root} cannot be used"):
            for path in (self.archive, self.published / "versions", self.statements, self.dagster, self.runs):
                path.mkdir(parents=True, exist_ok=True)
            if owner is None:
                write_atomically(self.root / MARK, f'closebook = 1\nkind = "{kind}"\n'.encode())

    def _holds_strange_files(self) -> bool:
        try:
            return self.root.is_dir() and any(p.name not in MAY_LIE_BESIDE for p in self.root.iterdir())
        except OSError as error:
            raise MachineError(
                f"The home {self.root} cannot be read: {error.strerror}.", "Mend its rights, or name another with --home."
            ) from None

    def require_room(self) -> None:
        """Refuse to start where the run could not end: room for the warehouse twice over, 64 MiB at least."""
        size = self.warehouse.stat().st_size if self.warehouse.exists() else 0
        free = shutil.disk_usage(self.root).free
        if free < (need := max(LEAST_FREE, 2 * size)):
            raise MachineError(
                f"The disk of {self.root} has {free >> 20} MiB free; a run needs {need >> 20} MiB.", "Make room, then run again."
            )


@contextmanager
def machine_errors(what: str) -> Iterator[None]:
    """An OSError of this machine becomes one sentence and exit code 4."""
    try:
        yield
    except OSError as error:
        raise MachineError(f"{what}: {error.strerror or error}.", "Make room or mend the rights, then run again.") from error


def write_atomically(path: Path, body: bytes, mode: int = 0o644) -> None:
    """The whole file under its final name, or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_of(path)
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # tells `clear_drafts` that somebody writes it
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
            draft.replace(path)
        _sync_directory(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def draft_of(path: Path) -> Path:
    """What is written, by this process, before it has the name `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def clear_drafts(home: Home) -> None:
    """Remove what processes that were killed had begun to write: nobody would finish it. The book's lock must be held."""
    for draft in (found for folder in (home.archive, home.journal, home.published, home.statements) for found in folder.rglob(".*.tmp")):
        with suppress(OSError):
            if not draft.is_symlink():  # a link is made under the book's lock only
                with draft.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def exclusive(home: Home, who: str, wait: float) -> Iterator[None]:
    """Hold the book's lock; Busy, naming the holder, after `wait` seconds."""
    with machine_errors(f"The lock {home.lock} cannot be taken"):
        handle = os.open(home.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(handle, time.monotonic() + wait)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{who}, process {os.getpid()}".encode(), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _take(handle: int, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = os.pread(handle, 200, 0).decode(errors="replace") or "another process"
                raise Busy(f"The book is being written by {holder}.", "Wait until it ends, then run again.") from None
            time.sleep(0.1)


def holder(home: Home) -> str | None:
    """Who holds the lock now, for `doctor`; None when nobody does."""
    try:
        handle = os.open(home.lock, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(handle, 200, 0).decode(errors="replace") or "another process"
    else:
        return None
    finally:
        os.close(handle)


@contextmanager
def sign_of_life(home: Home, run_id: str) -> Iterator[None]:
    """While this is held, the run counts as alive; the kernel drops it with the process. One that shows it already goes on doing so."""
    path = home.runs / run_id
    if path in _shown:
        yield
        return
    with locked(path):
        _shown.add(path)
        try:
            yield
        finally:
            _shown.discard(path)
            path.unlink(missing_ok=True)


_shown: set[Path] = set()
"""What this process shows: locking a file once more, it would wait for itself."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file's lock, however long that takes."""
    with machine_errors(f"The lock {path} cannot be taken"):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def lives(home: Home, run_id: str) -> bool:
    """True while some process holds the run's sign of life."""
    try:
        handle = os.open(home.runs / run_id, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(handle)
