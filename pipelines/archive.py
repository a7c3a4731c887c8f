"""Batch of reply pages ↔ one immutable zstd Parquet file. Nothing is interpreted here.

A file is named by the instant of its commit and the hash of its bytes, so that the sorted names are the order of replay,
no name is ever reused, and no byte of it changes unnoticed. It appears under its name whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import ContractError, MachineError
from pipelines.home import machine_errors, write_atomically
from pipelines.pages import Batch, Page

_PAGE = pa.schema(
    [
        ("venue", pa.string()),
        ("portfolio", pa.string()),
        ("endpoint", pa.string()),
        ("request", pa.string()),
        ("fetched_at", pa.timestamp("us", "UTC")),
        ("sha256", pa.string()),
        ("body", pa.binary()),
    ]
)
_INSTANTS = ("since", "until", "asked_at")
_WORDS = ("kind", "venue", "portfolio", "subject", "identity")


@dataclass(frozen=True)
class Archived:
    """A batch as it lies in the archive; `name` is its file's, without the ending."""

    name: str
    recorded_at: datetime
    batch: Batch


class Archive:
    """The verbatim pages of one home: append-only."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, batch: Batch, recorded_at: datetime) -> Archived:
        """Write one batch; returns its name. `recorded_at` is the instant its facts will carry."""
        head, buffer = _head(batch, recorded_at), BytesIO()
        pages = [{f: getattr(p, f) for f in _PAGE.names} for p in batch.pages]
        pq.write_table(pa.Table.from_pylist(pages, _PAGE.with_metadata({"closebook": head})), buffer, compression="zstd")
        name = _name(buffer.getvalue(), recorded_at)
        with machine_errors("The archive cannot be written"):
            write_atomically(self._path(name), buffer.getvalue(), 0o600)
        return Archived(name, recorded_at, batch)

    def names(self, after: str = "") -> Iterator[str]:
        """Names in order of replay, those after `after` only."""
        yield from sorted(p.stem for p in self._root.glob("*/*.parquet") if p.stem > after)

    def get(self, name: str) -> Archived:
        """Read one batch back, whole and as it was put, or refuse it: nothing is built on a page that changed."""
        body = self._proved(name)
        try:
            table = pq.read_table(BytesIO(body))
            told = json.loads((table.schema.metadata or {})[b"closebook"])
            recorded_at = datetime.fromisoformat(told["recorded_at"])
            pages = tuple(Page(**{f: row[f] for f in _PAGE.names if f != "sha256"}) for row in table.to_pylist())
            batch = _batch(told, pages)
        except (KeyError, ValueError, TypeError, pa.ArrowException, OSError) as strange:
            raise _damaged(name, "is not of the archive's form") from strange
        if _name(body, recorded_at) != name:
            raise _damaged(name, "was recorded at another instant than its name says")
        return Archived(name, recorded_at, batch)

    def faults(self, known: Iterable[str] = ()) -> Iterator[MachineError]:
        """What would keep a book from being built of it: batches that changed, and those of `known` that are gone."""
        names = list(self.names())
        for name in names:
            try:
                self._proved(name)
            except MachineError as fault:
                yield fault
        yield from (_damaged(name, "is missing") for name in sorted(set(known).difference(names)))

    def _proved(self, name: str) -> bytes:
        """The file as it was written: its bytes have the hash in its name."""
        with machine_errors(f"The archived batch {name} cannot be read"):
            body = self._path(name).read_bytes()
        if _digest(body) != name.rpartition("-")[2]:
            raise _damaged(name, "is cut short or damaged")
        return body

    def _path(self, name: str) -> Path:
        if "/" in name:
            raise ContractError(f"{name!r} is not a name in the archive.")
        return self._root / name[:6] / f"{name}.parquet"


def _damaged(name: str, how: str) -> MachineError:
    return MachineError(f"The archived batch {name} {how}.", "Restore the file from a backup.")


def _name(body: bytes, recorded_at: datetime) -> str:
    return f"{recorded_at:%Y%m%dT%H%M%S%fZ}-{_digest(body)}"


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]


def _head(batch: Batch, recorded_at: datetime) -> str:
    words = {w: getattr(batch, w) for w in _WORDS}
    instants = {i: (v.isoformat() if (v := getattr(batch, i)) else None) for i in _INSTANTS}
    return json.dumps(words | instants | {"recorded_at": recorded_at.isoformat()}, sort_keys=True)


def _batch(head: dict[str, str], pages: tuple[Page, ...]) -> Batch:
    instants = {i: (datetime.fromisoformat(head[i]) if head[i] else None) for i in _INSTANTS}
    return Batch(**{w: head[w] for w in _WORDS}, **instants, pages=pages)  # type: ignore[arg-type]  # a JSON head is untyped
