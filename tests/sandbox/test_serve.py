"""The sandbox as a thing that is started, asked, moved in time and stopped; and the configuration that it writes."""

from __future__ import annotations

import signal
import socket
import stat
import subprocess
import sys
import time
import tomllib
from datetime import date, datetime
from pathlib import Path

import httpx
import pytest

from pipelines.config import CoinbasePortfolio, CryptofusePortfolio, PacificaPortfolio, load
from pipelines.errors import MachineError, UsageError
from pipelines.sandbox.serve import Sandbox
from tests.sandbox.asking import DECLARED, write

POLICY = """
[[policy]]
asset = "USDC"
price = "1"
currency = "USD"
from = 2025-01-01T00:00:00Z
approver = 'the "controller" \\ deputy'
"""


def test_a_written_configuration_is_complete_private_and_valid(tmp_path: Path) -> None:
    with Sandbox(write(tmp_path / "d", declared=DECLARED + POLICY)) as sandbox:
        path = tmp_path / "closebook.toml"
        path.write_text("what stood here before")
        sandbox.write_config(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_text() == sandbox.config_text()
        assert sorted(p.name for p in tmp_path.iterdir()) == ["closebook.toml", "d"], "nothing half-written is left"
        config = load(path)
    assert (config.book.start, config.book.end) == (date(2025, 1, 1), date(2025, 1, 11))
    assert {p.base_url for p in config.portfolio} == {config.prices.base_url} == {sandbox.base_url}
    kinds = {p.name: type(p) for p in config.portfolio}
    assert (kinds["desk"], kinds["till"], kinds["margin"]) == (CoinbasePortfolio, CryptofusePortfolio, PacificaPortfolio)
    assert [p.entity for p in config.portfolio if p.name == "stranger"] == ["beta"]
    [policy] = config.policy
    assert (policy.asset, str(policy.price), policy.approver) == ("USDC", "1", 'the "controller" \\ deputy')
    assert policy.since == datetime.fromisoformat("2025-01-01T00:00:00Z")


def test_a_portfolio_without_an_entity_is_of_the_demo(tmp_path: Path) -> None:
    with Sandbox(write(tmp_path, declared=DECLARED.replace('entity = "beta"', ""))) as sandbox:
        assert 'name = "stranger"\nentity = "demo"' in sandbox.config_text()


def test_a_configuration_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with Sandbox(write(tmp_path)) as sandbox, pytest.raises(MachineError, match="cannot be written"):
        sandbox.write_config(tmp_path / "nowhere" / "closebook.toml")


def test_a_configuration_that_cannot_take_its_place_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "closebook.toml").mkdir()
    with Sandbox(write(tmp_path / "d")) as sandbox, pytest.raises(MachineError, match="cannot be written"):
        sandbox.write_config(tmp_path / "closebook.toml")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["closebook.toml", "d"]


def test_a_policy_is_copied_whatever_it_holds(tmp_path: Path) -> None:
    policy = r"""
[[policy]]
text = "quote \" backslash \\ newline \n delete \u007f ü"
numbers = [1, -2.50, true, 2025-01-01, 2025-01-01T00:00:00Z]
table = { "a b" = "c", d = { e = 1 } }
"""
    with Sandbox(write(tmp_path, declared=DECLARED + policy)) as sandbox:
        assert tomllib.loads(sandbox.config_text())["policy"] == tomllib.loads(policy)["policy"]


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(MachineError, match=f"Port {port} of 127.0.0.1 is in use."), Sandbox(write(tmp_path), port):
            pass


def test_the_socket_is_closed_and_the_port_free_when_the_block_ends(tmp_path: Path) -> None:
    sandbox = Sandbox(write(tmp_path))
    with sandbox, httpx.Client(base_url=sandbox.base_url) as http:
        assert http.get("/time").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{sandbox.base_url}/time")
    port = int(sandbox.base_url.rpartition(":")[2])
    with Sandbox(write(tmp_path), port) as again:
        assert again.base_url == sandbox.base_url
        assert httpx.get(f"{again.base_url}/time").status_code == 200


def test_it_listens_on_loopback_only(tmp_path: Path) -> None:
    with Sandbox(write(tmp_path)) as sandbox:
        assert sandbox.base_url.startswith("http://127.0.0.1:")


def test_what_was_asked_is_counted_by_template_and_status(tmp_path: Path) -> None:
    with Sandbox(write(tmp_path)) as sandbox:
        for path in ("/products/BTC-USD", "/products/OMG-USD", "/products/XYZ", "/accounts", "/api/v1/account", "/o/nonsense", "/nonsense"):
            httpx.get(sandbox.base_url + path)
    assert sandbox.requests == {
        ("GET", "/products/{product_id}", 200): 2,
        ("GET", "/products/{product_id}", 404): 1,
        ("GET", "/accounts", 401): 1,
        ("GET", "/api/v1/account", 400): 1,
        ("GET", "/o/…", 404): 1,
        ("GET", "/…", 401): 1,
    }
    assert sandbox.refused == 0


def test_the_data_clock_starts_at_the_datasets_end_and_has_a_time_zone(tmp_path: Path) -> None:
    sandbox = Sandbox(write(tmp_path))
    assert sandbox.now == datetime.fromisoformat("2025-01-11T00:00:00Z")
    with pytest.raises(UsageError, match="no time zone"):
        sandbox.now = datetime.fromisoformat("2025-01-11T00:00:00")
    assert sandbox.now == datetime.fromisoformat("2025-01-11T00:00:00Z")


SCRIPT = """
import sys
from pathlib import Path
from pipelines.sandbox.serve import run_forever
run_forever(Path(sys.argv[1]), 0, None, None, Path(sys.argv[2]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_told_to_stop_and_says_nothing(tmp_path: Path, number: signal.Signals) -> None:
    written = tmp_path / "closebook.toml"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, write(tmp_path / "d"), written], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        deadline = time.monotonic() + 10
        while not written.exists():
            assert time.monotonic() < deadline, "no configuration within ten seconds"
            time.sleep(0.02)
        assert httpx.get(f"{load(written).prices.base_url}/time").status_code == 200, "the socket listens once the file is there"
        process.send_signal(number)
        said, _ = process.communicate(timeout=10)
    finally:
        process.kill()
    assert (process.returncode, said) == (0, "")
