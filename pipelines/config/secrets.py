"""`env:NAME`, `file:PATH` or clear text → the secret. The environment is read here, and by pydantic-settings for `Environment`."""

from __future__ import annotations

import ipaddress
import os
import stat
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from pipelines.errors import ConfigError


def reveal(value: SecretStr, base_url: str, owner: str) -> str:
    """A secret from `env:NAME` or `file:PATH` (mode 0600); in clear for a loopback address only."""
    kind, _, rest = value.get_secret_value().partition(":")
    if kind == "env" and rest:
        if not (found := os.environ.get(rest)):
            raise ConfigError(f"The environment variable {rest} of {owner} is not set.", "Export it, then run again.")
        return found
    if kind == "file" and rest:
        return _from_file(Path(rest), owner)
    if not is_loopback(base_url):
        raise ConfigError(f"A secret of {owner} stands in clear in the configuration.", "Write env:NAME or file:PATH instead.")
    return value.get_secret_value()


def _from_file(path: Path, owner: str) -> str:
    named = f"The secret file {path} of {owner}"
    try:
        mode = path.stat().st_mode
        if not stat.S_ISDIR(mode) and stat.S_IMODE(mode) & 0o077:
            raise ConfigError(f"{named} can be read by others.", f"chmod 600 {path}")
        found = path.read_text(encoding="utf-8").strip()
    except OSError as unreadable:
        raise ConfigError(f"{named} cannot be read: {unreadable.strerror}.", "Mend the path.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{named} is not text in UTF-8.", "Write the secret into it, and nothing else.") from None
    if not found:
        raise ConfigError(f"{named} is empty.", "Write the secret into it.")
    return found


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
