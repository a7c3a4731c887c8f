"""People's decisions and issued statements ↔ one immutable JSON file each. What a decision does is decided elsewhere.

A record is named by the instant it was recorded and the hash of its content, so that sorted names are the order of the decisions.
Nothing is ever changed or deleted: who thinks otherwise records that. With the archive it is all that cannot be made again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines.errors import ContractError, MachineError
from pipelines.home import machine_errors, write_atomically

KINDS = ("CONFIGURATION", "RATES", "LOCK", "REOPEN", "ACCEPTANCE", "ASSIGNMENT", "ADJUSTMENT", "OPENING", "DISPOSITION", "STATEMENT")
NAME = re.compile(r"\d{8}T\d{12}Z-[0-9a-f]{32}")
MEND = "Restore the file from a backup."


@dataclass(frozen=True)
class Record:
    """One decision: who took it, when it was recorded, and its words, all of them texts (numbers and instants as printed)."""

    kind: str
    by: str
    recorded_at: datetime
    words: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"{self.recorded_at.astimezone(UTC):%Y%m%dT%H%M%S%fZ}-{hashlib.sha256(self.body).hexdigest()[:32]}"

    @property
    def body(self) -> bytes:
        """The bytes on disk: the same record has the same, whatever wrote it."""
        content = {
            "kind": self.kind,
            "by": self.by,
            "recorded_at": self.recorded_at.astimezone(UTC).isoformat(),
            "words": dict(self.words),
        }
        return json.dumps(content, sort_keys=True, ensure_ascii=False, indent=1).encode() + b"\n"


class Journal:
    """The decisions of one home, in the order in which they were recorded."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def append(self, kind: str, by: str, words: Mapping[str, str], at: datetime) -> Record:
        """Record a decision at `at`, or just after the newest one where the clock runs behind it."""
        if kind not in KINDS:
            raise ContractError(f"{kind!r} is no kind of record.")
        newest = self.newest()
        recorded_at = at if newest is None else max(at, newest + timedelta(microseconds=1))
        record = Record(kind, by, recorded_at, words)
        with machine_errors("The journal cannot be written"):
            write_atomically(self._path(record.name), record.body, 0o600)
        return record

    def newest(self) -> datetime | None:
        """When the newest decision was recorded."""
        names = self._names()
        return datetime.strptime(names[-1].partition("-")[0], "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC) if names else None

    def records(self, *kinds: str, known_at: datetime | None = None) -> Iterator[Record]:
        """Records of these kinds, or all, oldest first, as known at an instant."""
        for name in self._names():
            record = self._read(name)
            if (not kinds or record.kind in kinds) and (known_at is None or record.recorded_at <= known_at):
                yield record

    def _names(self) -> list[str]:
        names = sorted(path.stem for path in self._root.glob("*/*.json"))
        if strange := [name for name in names if not NAME.fullmatch(name)]:
            raise MachineError(f"The journal holds a file that is not its own: {strange[0]}.json.", "Move it elsewhere.")
        return names

    def _read(self, name: str) -> Record:
        with machine_errors(f"The journal's record {name} cannot be read"):
            body = self._path(name).read_bytes()
        try:
            told = json.loads(body)
            record = Record(told["kind"], told["by"], datetime.fromisoformat(told["recorded_at"]), told["words"])
        except (ValueError, KeyError, TypeError):
            raise MachineError(f"The journal's record {name} is not whole.", MEND) from None
        if record.body != body or record.name != name:
            raise MachineError(f"The journal's record {name} does not have its hash.", MEND)
        return record

    def _path(self, name: str) -> Path:
        return self._root / name[:6] / f"{name}.json"
