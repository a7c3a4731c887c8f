"""Pages lie in the archive as they came; a changed byte is found; nothing half-written has a name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.archive import Archive
from pipelines.errors import MachineError
from pipelines.pages import Batch, Page

T = datetime(2025, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)


def batch(*bodies: bytes) -> Batch:
    pages = tuple(Page("coinbase", "desk", "ledger", f"GET /accounts/1/ledger?n={i}", T, body) for i, body in enumerate(bodies))
    return Batch("HISTORY", "coinbase", "desk", "BTC", None, T, T, pages)


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_what_was_put_is_what_is_got(tmp_path_factory, bodies: list[bytes]) -> None:
    archive = Archive(tmp_path_factory.mktemp("archive"))
    put = archive.put(batch(*bodies), T)
    got = archive.get(put.name)
    assert got == put
    assert got.recorded_at == T


def test_names_sort_in_the_order_of_commit(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    names = [archive.put(batch(b"x"), T + timedelta(microseconds=n)).name for n in range(5)]
    assert list(archive.names()) == names
    assert list(archive.names(after=names[2])) == names[3:]


def test_a_page_that_changed_on_disk_is_refused(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    name = archive.put(batch(b"the venue's own words, verbatim"), T).name
    [path] = tmp_path.glob("*/*.parquet")
    path.write_bytes(path.read_bytes().replace(b"own words", b"new words"))
    with pytest.raises(MachineError, match=f"{name} is cut short or damaged"):
        archive.get(name)


@pytest.mark.parametrize("field", ["venue", "portfolio", "endpoint", "request", "fetched_at", "sha256", "body"])
def test_a_page_of_which_any_field_changed_is_refused(tmp_path: Path, field: str) -> None:
    archive = Archive(tmp_path)
    name = archive.put(batch(b"one", b"two"), T).name
    [path] = tmp_path.glob("*/*.parquet")
    table = pq.read_table(path)
    other = [v + timedelta(days=9) if field == "fetched_at" else v[:-1] for v in table[field].to_pylist()]
    pq.write_table(table.set_column(table.schema.get_field_index(field), table.schema.field(field), [other]), path, compression="zstd")
    with pytest.raises(MachineError, match="Restore the file from a backup"):
        archive.get(name)


@given(st.data())
def test_no_byte_of_a_file_may_differ(flipped: Path, data: st.DataObject) -> None:
    archive, [path] = Archive(flipped), flipped.glob("*/*.parquet")
    body = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(1, 255))
    path.with_suffix(".was").write_bytes(path.read_bytes())
    try:
        path.write_bytes(body)
        with pytest.raises(MachineError, match="Restore the file from a backup"):
            archive.get(path.stem)
    finally:
        path.with_suffix(".was").replace(path)


@pytest.fixture(scope="module")
def flipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flipped")
    Archive(folder).put(batch(b"one", b"two"), T)
    return folder


def test_what_is_damaged_and_what_is_gone_is_named(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    names = [archive.put(batch(b"x"), T + timedelta(microseconds=n)).name for n in range(3)]
    assert list(archive.faults(names)) == []
    damaged, gone, _ = (tmp_path / n[:6] / f"{n}.parquet" for n in names)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    gone.unlink()
    assert [fault.what for fault in archive.faults(names)] == [
        f"The archived batch {names[0]} is cut short or damaged.",
        f"The archived batch {names[1]} is missing.",
    ]


@pytest.mark.parametrize("kept", [0, 1, 200, -1])
def test_a_file_that_was_cut_short_is_said_in_one_sentence(tmp_path: Path, kept: int) -> None:
    archive = Archive(tmp_path)
    name = archive.put(batch(b"the venue's own words, verbatim"), T).name
    [path] = tmp_path.glob("*/*.parquet")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(MachineError, match=f"{name} is cut short or damaged. Restore the file from a backup"):
        archive.get(name)


@pytest.mark.parametrize("changed", ["a page left out", "another head"])
def test_a_file_whose_name_is_not_its_own_is_refused(tmp_path: Path, changed: str) -> None:
    archive = Archive(tmp_path)
    name = archive.put(batch(b"one", b"two"), T).name
    other = batch(b"one") if changed == "a page left out" else replace(batch(b"one", b"two"), until=T + timedelta(days=9))
    path, strange = (tmp_path / n[:6] / f"{n}.parquet" for n in (name, archive.put(other, T).name))
    strange.replace(path)
    with pytest.raises(MachineError, match="is cut short or damaged"):
        archive.get(name)


def test_a_file_under_another_instant_s_name_is_refused(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    name = archive.put(batch(b"one"), T).name
    [path] = tmp_path.glob("*/*.parquet")
    moved = path.replace(path.with_name(path.name.replace("123456Z", "123457Z")))
    with pytest.raises(MachineError, match=f"{moved.stem} was recorded at another instant"):
        archive.get(moved.stem)
    assert moved.stem != name


def test_a_file_that_is_no_batch_is_refused(tmp_path: Path) -> None:
    buffer = BytesIO()
    pq.write_table(pa.table({"x": [1]}), buffer)
    name = f"20250101T000000123456Z-{sha256(buffer.getvalue()).hexdigest()[:16]}"
    (tmp_path / name[:6]).mkdir()
    (tmp_path / name[:6] / f"{name}.parquet").write_bytes(buffer.getvalue())
    with pytest.raises(MachineError, match="is not of the archive's form"):
        Archive(tmp_path).get(name)


def test_an_archive_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("a file where a folder should be")
    with pytest.raises(MachineError, match="The archive cannot be written"):
        Archive(tmp_path / "archive").put(batch(b"x"), T)
    assert [p.name for p in tmp_path.iterdir()] == ["archive"]
