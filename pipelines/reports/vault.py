"""Secrets at rest: a key file that only its owner reads, secrets encrypted with it, passphrases hashed, links derived from it."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from functools import cached_property
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from pipelines.errors import ConfigError, MachineError
from pipelines.home import machine_errors, write_atomically

_SCRYPT = {"n": 2**14, "r": 8, "p": 1}
_PRIVATE = 0o600


class Vault:
    """What the key file opens. Without it no key and no link of this home is any use."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "key"

    def there(self) -> bool:
        return self._path.exists()

    def make(self) -> None:
        """The key file, once; two who make it at once end with one."""
        with machine_errors(f"The key file {self._path} cannot be written"):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = self._path.with_name(f".key.{os.getpid()}")
            write_atomically(draft, Fernet.generate_key(), _PRIVATE)
            try:
                os.link(draft, self._path)
            except FileExistsError:
                pass
            finally:
                draft.unlink()

    def check(self) -> None:
        """ConfigError where the key file is missing or open to others."""
        self.token("")

    @cached_property
    def _key(self) -> bytes:
        try:
            if stat.S_IMODE(self._path.stat().st_mode) & 0o077:
                raise ConfigError(f"The key file {self._path} can be read by others.", f"chmod 600 {self._path}")
            return self._path.read_bytes()
        except FileNotFoundError:
            raise ConfigError("No key of the Reports API has been made here.", "Run `closebook reports key add` first.") from None
        except OSError as error:
            raise MachineError(f"The key file {self._path} cannot be read: {error.strerror}.", "Mend its rights.") from None

    def lock(self, secret: bytes) -> bytes:
        return Fernet(self._key).encrypt(secret)

    def unlock(self, locked: bytes) -> bytes:
        try:
            return Fernet(self._key).decrypt(locked)
        except (InvalidToken, ValueError):
            raise ConfigError(
                f"The key file {self._path} is not the one these keys were made with.", "Put the old one back, or make new keys."
            ) from None

    def token(self, report_id: str) -> str:
        """The unguessable part of a report's link; nothing in the database leads to it."""
        return hmac.new(self._key, f"file/{report_id}".encode(), hashlib.sha256).hexdigest()


def hashed(passphrase: str) -> str:
    salt = os.urandom(16)
    return f"{salt.hex()}${_scrypt(passphrase, salt)}"


def matches(passphrase: str, kept: str) -> bool:
    salt, _, digest = kept.partition("$")
    return hmac.compare_digest(_scrypt(passphrase, bytes.fromhex(salt)), digest)


def _scrypt(passphrase: str, salt: bytes) -> str:
    return hashlib.scrypt(passphrase.encode(), salt=salt, dklen=32, **_SCRYPT).hex()
