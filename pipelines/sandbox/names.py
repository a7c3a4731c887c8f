"""Ids, keys and addresses of sandboxed portfolios, derived from their names: the same in every run, secret from nobody."""

from __future__ import annotations

import base64
import hashlib
from typing import NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"  # base58


class CoinbaseKey(NamedTuple):
    key: str
    secret: str
    passphrase: str


class CryptofuseClient(NamedTuple):
    client_id: str
    client_secret: str


def coinbase_key(portfolio: str) -> CoinbaseKey:
    secret = base64.b64encode(hashlib.sha512(f"coinbase secret {portfolio}".encode()).digest()).decode()
    return CoinbaseKey(_digest("coinbase key", portfolio)[:32], secret, _digest("coinbase passphrase", portfolio)[:12])


def cryptofuse_client(portfolio: str) -> CryptofuseClient:
    return CryptofuseClient(_digest("cryptofuse id", portfolio)[:40], _digest("cryptofuse secret", portfolio))


def pacifica_account(portfolio: str) -> str:
    """32 bytes in base58, as an address is."""
    return base58(int.from_bytes(b"\x7f" + hashlib.sha256(f"pacifica account {portfolio}".encode()).digest()[1:]))


def pacifica_api_key(portfolio: str) -> str:
    digest = _digest("pacifica key", portfolio)
    return f"{digest[:8]}_{base58(int(digest[8:40], 16))}"


def uuid(*words: str) -> str:
    return str(uuid5(NAMESPACE_URL, "/".join(("closebook-sandbox", *words))))


def same_uuid(given: str, own: str) -> bool:
    """The venue takes ids with and without dashes."""
    try:
        return UUID(given) == UUID(own)
    except ValueError:
        return False


def number(*words: str) -> int:
    """A trade or order number, below 10^9."""
    return int(_digest(*words)[:12], 16) % 1_000_000_000


def base58(value: int) -> str:
    digits = ""
    while value:
        value, digit = divmod(value, 58)
        digits = ALPHABET[digit] + digits
    return digits or ALPHABET[0]


def from_base58(text: str) -> int:
    """ValueError where a letter is none of the alphabet's."""
    value = 0
    for letter in text:
        value = value * 58 + ALPHABET.index(letter)
    return value


def _digest(*words: str) -> str:
    return hashlib.sha256("/".join(words).encode()).hexdigest()
