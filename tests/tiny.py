"""A dataset of a few lines, for tests that need the whole house but little in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

LEDGER = """\
venue,portfolio,native_code,occurred_at,event_type,amount,balance_after,pending_after,event_id
coinbase,desk,BTC,2025-01-01T10:00:00.000000Z,transfer,2,2,,1
coinbase,desk,BTC,2025-01-02T10:00:00.000000Z,match,-0.5,1.5,,2
coinbase,desk,USD,2025-01-02T10:00:00.000000Z,match,50000,50000,,3
coinbase,desk,BTC,2025-01-04T23:59:59.999999Z,match,-0.25,1.25,,4
"""
OVERDRAWN = LEDGER + "coinbase,desk,USD,2025-01-05T10:00:00.000000Z,transfer,-60000,-10000,,5\n"


def dataset(folder: Path, ledger: str = LEDGER, days: int = 7, portfolios: tuple[str, ...] = ("desk",)) -> Path:
    """From 1 January 2025; BTC at 100,000 and a cent an hour more, every hour."""
    folder.mkdir(parents=True)
    start = datetime(2025, 1, 1, tzinfo=UTC)
    end = start + timedelta(days=days)
    (folder / "dataset.toml").write_text(
        f'name = "tiny"\nstart = {start:%Y-%m-%d}\nend = {end:%Y-%m-%d}\n'
        + "".join(f'[[portfolio]]\nname = "{name}"\nvenue = "coinbase"\nentity = "acme"\n' for name in portfolios)
    )
    (folder / "ledger.csv").write_text(ledger)
    hours = [start - timedelta(days=2) + timedelta(hours=n) for n in range((days + 2) * 24)]
    candles = [f"BTC-USD,{int(t.timestamp())},99000,101000,100000,{100000 + n / 100},1.5" for n, t in enumerate(hours)]
    (folder / "candles.csv").write_text("\n".join(["product_id,time,low,high,open,close,volume", *candles]) + "\n")
    product = {"id": "BTC-USD", "base_currency": "BTC", "quote_currency": "USD", "status": "online", "trading_disabled": False}
    (folder / "products.json").write_text(json.dumps([product]))
    return folder
