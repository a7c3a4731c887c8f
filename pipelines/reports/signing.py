"""The four CB-ACCESS headers → who asks, or a refusal in Coinbase's words. Compared in constant time; a POST counts once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

import sqlalchemy as sa

from pipelines.reports import vault
from pipelines.reports.keys import Key, KeyRing
from pipelines.reports.store import USED
from pipelines.reports.times import Clock, now, stamp

SKEW = timedelta(seconds=30)


class Refusal(Exception):
    """An HTTP status and a message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Asked(NamedTuple):
    """One request as it came over the wire."""

    method: str
    target: str  # path and query, byte for byte
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Gate:
    """Lets in whom a key of the ring proves to be."""

    ring: KeyRing
    clock: Clock = now
    _pepper: bytes = field(default_factory=lambda: os.urandom(32))
    _known: set[bytes] = field(default_factory=set)  # passphrases that matched, hashed quickly, for as long as this process lives

    def admit(self, asked: Asked) -> Key:
        key_id, sign, timestamp, passphrase = (_header(asked, name) for name in ("KEY", "SIGN", "TIMESTAMP", "PASSPHRASE"))
        self._require_fresh(timestamp)
        if (found := self.ring.find(key_id)) is None:
            raise Refusal(401, "Invalid API Key")
        key, secret, kept = found
        expected = signature(secret, timestamp, asked)
        if not hmac.compare_digest(sign.encode(), expected.encode()):
            raise Refusal(401, "invalid signature")
        if not self._is_passphrase(key_id, passphrase, kept):
            raise Refusal(401, "Invalid Passphrase")
        if asked.method not in ("GET", "HEAD"):
            self._use_up(f"{key_id}/{expected}")
        return key

    def _require_fresh(self, timestamp: str) -> None:
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", timestamp, re.ASCII):
            raise Refusal(400, "invalid timestamp")
        if abs(self.clock().timestamp() - float(timestamp)) > SKEW.total_seconds():
            raise Refusal(401, "request timestamp expired")

    def _is_passphrase(self, key_id: str, given: str, kept: str) -> bool:
        """The slow hash once a process; its answer is kept, the words are not."""
        quick = hmac.digest(self._pepper, f"{key_id}/{kept}/{given}".encode(), "sha256")
        if quick not in self._known and vault.matches(given, kept):
            self._known.add(quick)
        return quick in self._known

    def _use_up(self, signed: str) -> None:
        at = self.clock()
        with self.ring.store.begin() as transaction:
            transaction.execute(USED.delete().where(USED.c.until < stamp(at)))
            try:
                transaction.execute(USED.insert().values(signature=signed, until=stamp(at + 2 * SKEW + timedelta(seconds=1))))
            except sa.exc.IntegrityError:
                raise Refusal(401, "request was sent before; sign it again with a new timestamp") from None


def signature(secret: bytes, timestamp: str, asked: Asked) -> str:
    """What CB-ACCESS-SIGN must be; the query is part of it."""
    prehash = f"{timestamp}{asked.method}{asked.target}".encode("latin-1") + asked.body
    return base64.b64encode(hmac.digest(secret, prehash, hashlib.sha256)).decode()


def _header(asked: Asked, name: str) -> str:
    value = asked.headers.get(f"cb-access-{name.lower()}", "")
    if not value:
        raise Refusal(401 if name == "KEY" else 400, f"CB-ACCESS-{name} header is required")
    return value
