"""What lies around an issued statement: its number, who issued it and when, after which one, all of it signed. And who checks that.

The signature is Ed25519: only the key file of the home makes it, and whoever holds the public key can check it. The content knows
nothing of its envelope but its number: the same content in another envelope has the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pipelines.errors import ConfigError, UsageError
from pipelines.home import machine_errors, write_atomically

ENVELOPE = "envelope.json"
KIND = "ed25519:"
_NO_HASH = "0" * 64
_PRIVATE = 0o600


class Signer:
    """The key of a home, made when it is first needed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def public(self) -> str:
        """What a counterparty pins."""
        return KIND + base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, body: bytes) -> str:
        return base64.b64encode(self._key.sign(body)).decode()

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        with machine_errors(f"The signing key {self._path} cannot be used"):
            if not self._path.exists():
                self._make()
            if stat.S_IMODE(self._path.stat().st_mode) & 0o077:
                raise ConfigError(f"The signing key {self._path} can be read by others.", f"chmod 600 {self._path}")
            body = self._path.read_bytes()
        try:
            return Ed25519PrivateKey.from_private_bytes(base64.b64decode(body, validate=True))
        except ValueError:
            raise ConfigError(f"The signing key {self._path} is not whole.", "Restore the file from a backup.") from None

    def _make(self) -> None:
        """Once; two who make it at the same time end with one."""
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        write_atomically(draft, base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()), _PRIVATE)
        try:
            os.link(draft, self._path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()


def seal(facts: Mapping[str, str | None], manifest: bytes, signer: Signer) -> bytes:
    """The envelope's bytes; its own hash stands where the manifest's does, taken with zeros in its place."""
    told = {**facts, "manifest_sha256": hashlib.sha256(manifest).hexdigest(), "public_key": signer.public}
    signed = _text(told, signer.sign(_text(told, "").encode()))
    return signed.replace(_NO_HASH, hashlib.sha256(signed.encode()).hexdigest(), 1).encode()


def _text(facts: Mapping[str, str | None], signature: str) -> str:
    return json.dumps({"envelope_sha256": _NO_HASH, **facts, "signature": signature}, indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Envelope:
    """An envelope as it was read; whether to trust it is asked of it."""

    facts: Mapping[str, str | None]

    @classmethod
    def read(cls, body: bytes) -> Envelope:
        return cls(json.loads(body))

    def __getitem__(self, name: str) -> str:
        return self.facts.get(name) or ""

    @property
    def digest(self) -> str:
        return self["envelope_sha256"]

    @property
    def holder(self) -> str:
        return f"No. {self['number']}"

    def wrong(self, key: str = "") -> str:
        """Why it must not be trusted, in words; empty where nothing speaks against it."""
        if key and self["public_key"] != key:
            return f"{self.holder} is not signed by {key}, but by {self['public_key'] or 'nobody'}"
        told = {name: said for name, said in self.facts.items() if name not in ("envelope_sha256", "signature")}
        try:
            public = Ed25519PublicKey.from_public_bytes(base64.b64decode(self["public_key"].removeprefix(KIND), validate=True))
            public.verify(base64.b64decode(self["signature"], validate=True), _text(told, "").encode())
        except (InvalidSignature, ValueError):
            return f"the signature of {self.holder} is not that of its key"
        return ""


def broken_link(found: Iterable[Envelope]) -> str:
    """What is wrong with the chain of these envelopes, in words: each names the one before it, of the same scope and key."""
    known = {e.digest: e for e in found}
    after: dict[tuple[str, str, str], Envelope] = {}
    for e in sorted(known.values(), key=lambda e: (e["issued_at"], e["number"])):
        before = known.get(e["previous"])
        if e["previous"] and before is None:
            return f"{e.holder} follows No. {e['previous_number']} (envelope {e['previous']}), which is not here"
        if before is not None and before["public_key"] != e["public_key"]:
            return f"{e.holder} is signed by another key than {before.holder}"
        if (other := after.setdefault((e["scope_of"], e["scope"], e["previous"]), e)) is not e:
            return f"{e.holder} and {other.holder} both follow {'No. ' + e['previous_number'] if before else 'nothing'}"
    return ""


def require_key(text: str) -> str:
    """A public key as the register shows it."""
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(text.removeprefix(KIND), validate=True))
    except ValueError:
        raise UsageError(f"{text!r} is no public key.", "Write it as `closebook register --key` shows it.") from None
    return KIND + text.removeprefix(KIND)
