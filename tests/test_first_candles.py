"""What later knowledge says of days that were closed before it: labels may look ahead, and then all of them do."""

from __future__ import annotations

from pathlib import Path

from pipelines.sandbox.serve import Sandbox
from pipelines.tables import DAILY_PRICES, DIRTY
from tests import tiny
from tests.closing_once import House, house
from tests.ledger_text import instant

HEADER = "product_id,time,low,high,open,close,volume\n"


def reasons(book: House) -> list[str | None]:
    return book.table(DAILY_PRICES).filter(asset="BTC", method="VWAP_24H").sort("day")["reason"].to_list()


def test_the_first_candle_ever_seen_says_of_every_day_before_it_that_the_asset_was_not_listed(tmp_path: Path) -> None:
    silent, trading = tiny.dataset(tmp_path / "silent"), tiny.dataset(tmp_path / "trading")
    (silent / "candles.csv").write_text(HEADER)
    recent = [
        c for c in (trading / "candles.csv").read_text().splitlines()[1:] if int(c.split(",")[1]) >= instant("2025-01-07").timestamp()
    ]
    (trading / "candles.csv").write_text(HEADER + "\n".join(recent) + "\n")
    with Sandbox(silent) as sandbox, house(tmp_path / "home", sandbox) as book:
        book.run()
        assert reasons(book) == ["NO_CANDLES"] * 7
    with Sandbox(trading) as sandbox, house(tmp_path / "home", sandbox) as book, house(tmp_path / "scratch", sandbox) as scratch:
        book.run()
        scratch.run()
        assert reasons(book) == reasons(scratch) == ["NOT_YET_LISTED"] * 6 + [None]
        assert book.table(DIRTY).is_empty()


def test_the_first_list_of_products_says_of_every_asset_whether_it_has_a_pair(tmp_path: Path) -> None:
    folder = tiny.dataset(tmp_path / "data")
    listed = (folder / "products.json").read_text()
    (folder / "products.json").write_text("[]")
    with Sandbox(folder) as sandbox, house(tmp_path / "home", sandbox) as book:
        book.run()
        assert set(book.table(DAILY_PRICES).filter(asset="USDC")["reason"]) == {"NOT_FETCHED"}
    (folder / "products.json").write_text(listed)
    with Sandbox(folder) as sandbox, house(tmp_path / "home", sandbox) as book:
        book.run()
        assert set(book.table(DAILY_PRICES).filter(asset="USDC")["reason"]) == {"NO_USD_PAIR"}
