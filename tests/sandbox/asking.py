"""A small dataset in which every row is awkward on purpose, and ways to ask its sandbox as a client of each venue does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from pipelines.sandbox.serve import Sandbox
from pipelines.sandbox.settings import Settings

FAST = 100_000.0
"""The limits' clock for tests that are not about limits."""

DECLARED = """
name = "awkward"
start = 2025-01-01
end = 2025-01-11

[[portfolio]]
name = "desk"
venue = "coinbase"
entity = "acme"
opening = { USD = "100.00", SOL = "7" }

[[portfolio]]
name = "vault"
venue = "coinbase"
entity = "acme"

[[portfolio]]
name = "stranger"
venue = "coinbase"
entity = "beta"

[[portfolio]]
name = "till"
venue = "cryptofuse"
entity = "acme"

[[portfolio]]
name = "kiosk"
venue = "cryptofuse"
entity = "acme"

[[portfolio]]
name = "margin"
venue = "pacifica"
entity = "acme"

[[portfolio]]
name = "margin-alpha"
venue = "pacifica"
entity = "acme"
"""

HEADER = "venue,portfolio,native_code,occurred_at,event_type,amount,balance_after,pending_after,event_id"
LEDGER = """
coinbase,desk,BTC,2025-01-02T10:00:00.500000Z,match,0.25,0.25,,1001
coinbase,desk,USD,2025-01-02T10:00:00.500000Z,match,-25.5,74.5,,1002
coinbase,desk,USD,2025-01-02T10:00:00.500000Z,fee,-0.05,74.45,,1003
coinbase,desk,BTC,2025-01-05T00:00:00.000000Z,transfer,-0.1,0.15,,1010
coinbase,vault,BTC,2025-01-05T00:00:00.000000Z,transfer,0.1,0.1,,1011
coinbase,desk,BTC,2025-01-09T23:59:59.999999Z,match,0.01,0.16,,1020
coinbase,desk,BTC,2025-01-10T00:00:00.000000Z,match,0.01,0.17,,1030
coinbase,desk,BTC,2025-01-10T12:00:00.000001Z,match,0.000000000000000001,0.170000000000000001,,1040
coinbase,stranger,BTC,2025-01-03T00:00:00Z,transfer,3,3,,1005
cryptofuse,till,USDTERC20,2025-01-01T09:30:00Z,deposit,500,500,,
cryptofuse,till,USDTERC20,2025-01-02T09:30:00Z,withdrawal,-25,475,,
cryptofuse,till,ETH,2025-01-03T09:30:00Z,deposit,1.5,1.5,,
cryptofuse,till,USDTTRC20,2025-01-03T09:30:00Z,deposit,10,10,,
cryptofuse,till,MYSTERY,2025-01-04T00:00:00Z,deposit,1,1,,
cryptofuse,till,BTC,2025-01-20T00:00:00Z,deposit,1,1,,
cryptofuse,kiosk,ETH,2025-01-03T00:00:00Z,deposit,9,9,,
pacifica,margin,USDC,2025-01-01T00:00:00.001Z,deposit,1000,1000,0,
pacifica,margin,USDC,2025-01-02T00:00:00.002Z,trade,-10.5,989.5,0,
pacifica,margin,USDC,2025-01-02T00:00:00.002Z,trade,0.25,989.75,0,
pacifica,margin,USDC,2025-01-03T00:00:00Z,funding,-0.000001,989.749999,0,
pacifica,margin,USDC,2025-01-04T00:00:00Z,deposit,0,989.749999,500,
pacifica,margin,USDC,2025-01-06T00:00:00Z,deposit_release,500,1489.749999,0,
pacifica,margin,USDC,2025-01-07T00:00:00Z,withdraw,-50,1439.749999,0,
"""

CANDLES = "product_id,time,low,high,open,close,volume\n"
HOUR = 3600
FIRST_HOUR = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())


def candles() -> str:
    """BTC: ten days without the hours 30 and 31; hour 0 has numbers that a float prints badly. OMG: a delisted day. REN: none."""
    rows = [f"BTC-USD,{FIRST_HOUR},42150,42300.10,42280.5,0.00001,0.00000001"]
    rows += [f"BTC-USD,{FIRST_HOUR + n * HOUR},{90 + n},{110 + n},{100 + n},{101 + n}.5,2" for n in range(1, 400) if n not in (30, 31)]
    rows += [f"OMG-USD,{FIRST_HOUR + n * HOUR},1,1,1,1,1" for n in range(24)]
    return CANDLES + "\n".join(rows) + "\n"


def product(base: str, quote: str, status: str = "online") -> dict[str, Any]:
    return {
        "id": f"{base}-{quote}",
        "base_currency": base,
        "quote_currency": quote,
        "status": status,
        "trading_disabled": status != "online",
    }


def write(folder: Path, ledger: str = LEDGER, declared: str = DECLARED, faults: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "dataset.toml").write_text(declared)
    (folder / "ledger.csv").write_text(f"{HEADER}\n{ledger.strip()}\n")
    (folder / "candles.csv").write_text(candles())
    (folder / "products.json").write_text(json.dumps([product("BTC", "USD"), product("OMG", "USD", "delisted"), product("REN", "BTC")]))
    if faults:
        (folder / "faults.toml").write_text(faults)
    return folder


@contextmanager
def serving(folder: Path, **changes: Any) -> Iterator[Client]:
    """A sandbox and somebody who asks it. Settings by name; `now`, `port`, `faults`, `limit_scale` as the sandbox takes them."""
    own = {name: changes.pop(name) for name in ("now", "port", "faults") if name in changes}
    scale = changes.pop("limit_scale", FAST)
    with (
        Sandbox(folder, settings=Settings(**changes), limit_scale=scale, **own) as sandbox,
        httpx.Client(base_url=sandbox.base_url) as http,
    ):
        yield Client(sandbox, http)


class Client:
    """Asks as each venue's client does, with the keys of the written configuration."""

    def __init__(self, sandbox: Sandbox, http: httpx.Client) -> None:
        self.sandbox, self.http = sandbox, http
        self.keys = {entry["name"]: entry for entry in tomllib.loads(sandbox.config_text())["portfolio"]}

    def get(self, target: str, **headers: str) -> httpx.Response:
        return self.http.get(target, headers=headers)

    def coinbase(self, target: str, portfolio: str = "desk", ahead: float = 0, **overrides: str) -> httpx.Response:
        headers = self.signed(target, portfolio, ahead) | {f"CB-ACCESS-{name}": value for name, value in overrides.items()}
        return self.http.get(target, headers=headers)

    def signed(self, target: str, portfolio: str = "desk", ahead: float = 0) -> dict[str, str]:
        key, timestamp = self.keys[portfolio], f"{time.time() + ahead:.3f}"
        digest = hmac.digest(base64.b64decode(key["secret"]), f"{timestamp}GET{target}".encode(), hashlib.sha256)
        return {
            "CB-ACCESS-KEY": key["key"],
            "CB-ACCESS-SIGN": base64.b64encode(digest).decode(),
            "CB-ACCESS-TIMESTAMP": timestamp,
            "CB-ACCESS-PASSPHRASE": key["passphrase"],
        }

    def account_id(self, code: str, portfolio: str = "desk") -> str:
        return {a["currency"]: a["id"] for a in self.coinbase("/accounts", portfolio).json()}[code]

    def ledger(self, query: str, code: str = "BTC", portfolio: str = "desk") -> httpx.Response:
        return self.coinbase(f"/accounts/{self.account_id(code, portfolio)}/ledger?{query}", portfolio)

    def token(self, portfolio: str = "till", scope: str = "read write", **form: str) -> httpx.Response:
        key = self.keys[portfolio]
        asked = {"grant_type": "client_credentials", "client_id": key["client_id"], "client_secret": key["client_secret"], "scope": scope}
        return self.http.post("/o/token/", data=asked | form)

    def cryptofuse(self, target: str, portfolio: str = "till", scope: str = "read write") -> httpx.Response:
        token = self.token(portfolio, scope).json()["access_token"]
        return self.get(target, Authorization=f"Bearer {token}")

    def pacifica(self, path: str, portfolio: str = "margin", keyed: bool = True, **query: object) -> httpx.Response:
        key = self.keys[portfolio]
        headers = {"PF-API-KEY": key["api_key"]} if keyed else {}
        return self.http.get(f"/api/v1{path}", params={"account": key["account"], **query}, headers=headers)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hour(number: int) -> str:
    return f"{datetime.fromtimestamp(FIRST_HOUR, UTC) + timedelta(hours=number):%Y-%m-%dT%H:%M:%SZ}"
