"""The keys of the Reports API: made, listed, revoked, found. A key may view; which portfolios, it says itself."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from pipelines.errors import UsageError
from pipelines.reports import vault
from pipelines.reports.store import KEYS, Store
from pipelines.reports.times import Clock, now, stamp
from pipelines.reports.vault import Vault


@dataclass(frozen=True)
class Key:
    """Who asks; `portfolios` None: all there are, and all there will be."""

    id: str
    label: str
    portfolios: frozenset[str] | None
    created_at: str
    revoked_at: str | None = None

    def opens(self, portfolio: str | None) -> bool:
        """None stands for all portfolios together."""
        return self.portfolios is None or portfolio in self.portfolios


@dataclass(frozen=True)
class NewKey:
    """Said once, and kept by nobody but its owner."""

    id: str
    secret: str
    passphrase: str


@dataclass(frozen=True)
class KeyRing:
    store: Store
    vault: Vault
    clock: Clock = now

    def add(self, label: str, portfolios: Sequence[str] | None) -> NewKey:
        self.vault.make()
        made = NewKey(secrets.token_hex(16), base64.b64encode(secrets.token_bytes(64)).decode(), secrets.token_urlsafe(12))
        row = {
            "id": made.id,
            "label": label,
            "secret": self.vault.lock(made.secret.encode()),
            "passphrase": vault.hashed(made.passphrase),
            "portfolios": sorted(set(portfolios)) if portfolios is not None else None,
            "created_at": stamp(self.clock()),
        }
        with self.store.begin() as transaction:
            transaction.execute(KEYS.insert().values(row))
        return made

    def all(self) -> list[Key]:
        return [_key(row) for row in self.store.rows(sa.select(KEYS).order_by(KEYS.c.created_at))]

    def revoke(self, key_id: str) -> None:
        """At once: nothing more is taken from it, and its links are gone."""
        change = KEYS.update().where(KEYS.c.id == key_id, KEYS.c.revoked_at.is_(None)).values(revoked_at=stamp(self.clock()))
        with self.store.begin() as transaction:
            if not transaction.execute(change).rowcount:
                raise UsageError(f"There is no key {key_id} in use here.", "See `closebook reports key list`.")

    def find(self, key_id: str) -> tuple[Key, bytes, str] | None:
        """The key in use under that id, its secret and what is kept of its passphrase."""
        found = self.store.rows(sa.select(KEYS).where(KEYS.c.id == key_id, KEYS.c.revoked_at.is_(None)))
        return (_key(found[0]), base64.b64decode(self.vault.unlock(found[0]["secret"])), found[0]["passphrase"]) if found else None


def _key(row: sa.RowMapping) -> Key:
    portfolios = row["portfolios"]
    return Key(row["id"], row["label"], None if portfolios is None else frozenset(portfolios), row["created_at"], row["revoked_at"])
