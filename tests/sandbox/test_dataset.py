"""A dataset's files: what is malformed is named with file, line and reason, and what to do."""

from __future__ import annotations

import json
import time
from pathlib import Path

import polars as pl
import pytest

from pipelines.errors import UsageError
from pipelines.sandbox.dataset import load
from tests.conftest import DATA
from tests.sandbox.asking import CANDLES, DECLARED, FIRST_HOUR, HEADER, LEDGER, write

GOOD = "coinbase,desk,BTC,2025-01-02T10:00:00Z,match,0.25,0.25,,1001"
TILL = "cryptofuse,till,ETH,2025-01-02T10:00:00Z,deposit,1,1,,"
MARGIN = "pacifica,margin,USDC,2025-01-02T10:00:00Z,deposit,1,1,0,"


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (GOOD.replace("coinbase", "binance"), "venue 'binance' is none of coinbase, pacifica, cryptofuse"),
        (GOOD.replace("desk", "attic"), "portfolio 'attic' is not declared in dataset.toml"),
        (GOOD.replace("desk", "till"), "portfolio 'till' is declared at cryptofuse, not at coinbase"),
        (GOOD.replace("BTC", ""), "native_code is empty"),
        (GOOD.replace("match", " "), "event_type is empty"),
        (GOOD.replace("00Z", "00"), "occurred_at '2025-01-02T10:00:00' is not an instant"),
        (GOOD.replace("00Z", "00.1234567Z"), "is not an instant"),
        (GOOD.replace("01-02T", "02-30T"), "is not an instant"),
        (GOOD.replace("0.25,0.25", "1e5,0.25"), "amount '1e5' is not decimal text"),
        (GOOD.replace("0.25,0.25", ",0.25"), "amount '' is not decimal text"),
        (GOOD.replace("0.25,0.25", "0.25,NaN"), "balance_after 'NaN' is not decimal text"),
        (MARGIN.replace("1,1,0,", "1,1,x,"), "pending_after 'x' is not decimal text"),
        (GOOD.replace("0.25,0.25", "12,5x,0.25"), "it has 10 fields where the header has 9"),
        (GOOD.replace("1001", "abc"), "event_id 'abc' is not a whole number"),
        (GOOD.replace("1001", ""), "event_id '' is not a whole number"),
        (GOOD.replace("01-02", "01-01"), "occurred_at lies before the row above of BTC"),
        (GOOD.replace("1001", "500"), "event_id 500 does not come after 501"),
        (TILL.replace("00Z", "00.5Z"), "is finer than cryptofuse prints, which is whole seconds"),
        (MARGIN.replace("00Z", "00.0005Z"), "is finer than pacifica prints, which is whole milliseconds"),
        (MARGIN.replace("USDC", "SOL"), "native_code 'SOL' has no balance history at Pacifica"),
        ('coinbase,"desk', "it is not CSV"),
    ],
)
def test_a_malformed_row_is_named_with_its_line(tmp_path: Path, row: str, complaint: str) -> None:
    first = GOOD.replace("10:00:00Z", "09:00:00Z").replace("1001", "501")
    with pytest.raises(UsageError, match=r"ledger\.csv, line 3: ") as error:
        load(write(tmp_path, f"{first}\n{row}\n{TILL}"))
    assert complaint in error.value.what
    assert error.value.todo == "Mend that row of the dataset, then start again."


@pytest.mark.parametrize(
    ("toml", "complaint"),
    [
        ("start = ", "is not TOML"),
        ('name = "x"\nstart = 2025-01-01\nend = 2025-01-02', "declares no [[portfolio]]"),
        (DECLARED.replace("end = 2025-01-11", ""), "end is not a day"),
        (DECLARED.replace("end = 2025-01-11", "end = 2025-01-01"), "end is exclusive and must lie after start"),
        (DECLARED.replace('"vault"', '"desk"'), "two portfolios of one name"),
        (DECLARED.replace('"vault"', '"all"'), "'all' cannot be a portfolio's name"),
        (DECLARED.replace('"vault"', '"My Vault"'), "'My Vault' cannot be a portfolio's name"),
        (DECLARED.replace('"pacifica"', '"atlantica"'), "which is none of"),
        (DECLARED.replace("opening", "openings"), "the unknown key 'openings'"),
        (DECLARED.replace('USD = "100.00"', "USD = 100.00"), "is not a table of native code to decimal text"),
        (DECLARED.replace('"100.00"', '"plenty"'), "the opening of USD 'plenty' is not decimal text"),
    ],
)
def test_a_wrong_declaration_is_named(tmp_path: Path, toml: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=r"dataset\.toml") as error:
        load(write(tmp_path, declared=toml))
    assert complaint in error.value.what


CANDLE = f"BTC-USD,{FIRST_HOUR},1,2,1,2,3"


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (CANDLE, "this hour of the product stands twice"),
        (CANDLE.replace(str(FIRST_HOUR), str(FIRST_HOUR + 60)), "time is not a whole hour in Unix seconds"),
        (CANDLE.replace(str(FIRST_HOUR), "noon"), "time is not a whole hour in Unix seconds"),
        (CANDLE.replace("BTC-USD", ""), "product_id is empty"),
        (CANDLE.replace("BTC", "ETH").replace(",3", ",-3"), "volume is not a number of 0 or more"),
        (CANDLE.replace("BTC", "ETH").replace(",3", ",x"), "volume is not a number of 0 or more"),
        (CANDLE + ",9", "it has 8 fields where the header has 7"),
    ],
)
def test_a_malformed_candle_is_named_with_its_line(tmp_path: Path, row: str, complaint: str) -> None:
    write(tmp_path)
    (tmp_path / "candles.csv").write_text(f"{CANDLES}{CANDLE}\n{row}\n")
    with pytest.raises(UsageError, match=r"candles\.csv, line 3: ") as error:
        load(tmp_path)
    assert complaint in error.value.what


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("ledger.csv", None, "has no ledger.csv or ledger.parquet"),
        ("candles.csv", None, "has no candles.parquet or candles.csv"),
        ("dataset.toml", None, "There is no "),
        ("products.json", None, "There is no "),
        ("products.json", "[", "is not JSON"),
        ("products.json", '[{"id": "BTC-USD"}]', "is not a list of products"),
        ("ledger.csv", "venue,portfolio\n", "has the columns venue,portfolio, not venue,"),
        ("ledger.csv", "", "has the columns none"),
        ("candles.parquet", "x", "has both candles.parquet or candles.csv"),
    ],
)
def test_a_missing_or_unreadable_file_is_named(tmp_path: Path, name: str, content: str | None, complaint: str) -> None:
    path = write(tmp_path) / name
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(UsageError) as error:
        load(tmp_path)
    assert complaint in error.value.what
    assert error.value.todo


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    loaded = load(write(tmp_path / "csv"))
    cells = [line.split(",") for line in LEDGER.strip().splitlines()]
    frame = pl.DataFrame(cells, schema=HEADER.split(","), orient="row")
    frame = frame.with_columns(
        pl.col("occurred_at").str.to_datetime("%+", time_unit="us", time_zone="UTC"), pl.col("amount").cast(pl.Decimal(38, 18))
    )
    write(tmp_path / "parquet")
    (tmp_path / "parquet/ledger.csv").unlink()
    frame.write_parquet(tmp_path / "parquet/ledger.parquet")
    again = load(tmp_path / "parquet")
    assert {n: p.events for n, p in again.portfolios.items()} == {n: p.events for n, p in loaded.portfolios.items()}


def test_float_amounts_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "ledger.csv").unlink()
    frame = pl.DataFrame([GOOD.split(",")], schema=HEADER.split(","), orient="row").with_columns(pl.col("amount").cast(pl.Float64))
    frame.write_parquet(tmp_path / "ledger.parquet")
    with pytest.raises(UsageError, match="amount are floats, which lose digits"):
        load(tmp_path)


def test_the_real_dataset_loads_in_well_under_two_seconds(real: Path) -> None:
    began = time.perf_counter()
    loaded = load(real)
    assert time.perf_counter() - began < 2
    assert len(loaded.portfolios["desk"].events["BTC"]) == 9100
    assert {product["id"] for product in loaded.products} == set(loaded.hours)


@pytest.mark.skipif(not (DATA / "captured").is_dir(), reason="captured replies are not beside this checkout (../shared/data/captured)")
def test_a_captured_list_of_products_is_accepted_as_it_is(tmp_path: Path) -> None:
    captured = (DATA / "captured/products_2021-04-17.json").read_text()
    (write(tmp_path) / "products.json").write_text(captured)
    assert load(tmp_path).products == json.loads(captured)
