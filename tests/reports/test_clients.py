"""Other people's clients of Coinbase's reports, unmodified but for the base URL, create, poll and fetch."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ccxt
import httpx
import pytest

from pipelines.reports.serve import making
from tests.reports.house import CLOSE, OFFICIAL, TREASURY, House

NPM = Path(__file__).parent / "npm"
BODY = OFFICIAL | {"balance": {"datetime": CLOSE}}


@pytest.fixture
def at_work(house) -> Iterator[House]:
    """The house with a maker, as `closebook reports serve` has one."""
    with making(house.desk, threading.Event(), lambda _: None):
        yield house


def test_ccxts_implicit_methods(at_work) -> None:
    key = at_work.ring.add("ccxt", ["treasury"])
    client: Any = ccxt.coinbaseexchange({"apiKey": key.id, "secret": key.secret, "password": key.passphrase, "enableRateLimit": False})
    client.urls["api"] = {"public": at_work.url, "private": at_work.url}
    created = client.private_post_reports(BODY)
    assert created == {"id": created["id"], "type": "balance", "status": "pending"}
    report = client.private_get_reports_report_id({"report_id": created["id"]})
    while report["status"] in ("pending", "creating"):
        report = client.private_get_reports_report_id({"report_id": created["id"]})
    assert (report["status"], report["params"]["profile_id"]) == ("ready", TREASURY)
    assert httpx.get(report["file_url"], trust_env=False).text.startswith("as_of,known_at,")
    with pytest.raises(ccxt.ExchangeError, match="Ask for type balance"):
        client.private_post_reports({"type": "fills", "fills": {"product_id": "ALL"}})
    client.secret = "AAAA"
    with pytest.raises(ccxt.AuthenticationError, match="invalid signature"):
        client.private_get_reports_report_id({"report_id": created["id"]})


def test_npms_coinbase_api(at_work) -> None:
    if not (node := shutil.which("node")):
        pytest.skip("node is not installed")
    if not (NPM / "node_modules" / "coinbase-api").is_dir():
        pytest.skip("the npm package coinbase-api is not installed: make npm-client")
    key = at_work.ring.add("npm", ["treasury"])
    told = {"baseUrl": at_work.url, "key": key.id, "secret": key.secret, "passphrase": key.passphrase, "body": BODY}
    done = subprocess.run([node, NPM / "report.cjs", json.dumps(told)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["created"] == {"id": seen["created"]["id"], "type": "balance", "status": "pending"}
    assert (seen["report"]["status"], seen["report"]["params"]["datetime"]) == ("ready", CLOSE)
    assert [one["id"] for one in seen["listed"]] == [seen["created"]["id"]]
    assert seen["file"].startswith("as_of,known_at,")
    assert seen["foreign"] == {"message": "NotFound"}
