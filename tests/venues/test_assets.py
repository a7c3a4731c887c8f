"""The shipped map of codes: valid, and true to what the venues publish."""

import tomllib
from pathlib import Path

from pipelines import tables

CODES = tomllib.loads((Path(tables.__file__).parent / "assets.toml").read_text(encoding="utf-8"))


def test_every_code_has_an_asset_and_a_class():
    for venue, codes in CODES.items():
        assert venue in tables.VENUES
        for code, entry in codes.items():
            assert code == code.upper()
            assert entry["class"] in tables.CLASSES
            assert set(entry) <= {"asset", "class", "network"}


def test_fiat_is_itself_and_network_codes_are_not_cut():
    assert {code for code, entry in CODES["coinbase"].items() if entry["class"] == "fiat"} == {"USD", "EUR", "GBP"}
    assert all(code == entry["asset"] for code, entry in CODES["coinbase"].items())
    assert CODES["cryptofuse"]["USDTARB"] == {"asset": "USDT", "class": "stable", "network": "arbitrum"}
    assert CODES["cryptofuse"]["WETH"]["asset"] == "WETH"
