"""Whatever a venue sends, a reader answers with rows, refused rows or `Unreadable`: nothing else, and no row vanishes."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ContractError, Unreadable
from pipelines.venues import wire
from tests.venues.serving import page

LEDGER = "GET /accounts/a1/ledger?limit=1"
CANDLES = "GET /products/BTC-USD/candles?start=2024-01-01T00:00:00Z&end=2024-01-02T00:00:00Z"
READERS = {
    "coinbase accounts": lambda body: wire.read_balances("coinbase", [page("coinbase", "accounts", body)])[1],
    "coinbase ledger": lambda body: wire.read_history("coinbase", [page("coinbase", "ledger", body, LEDGER)]),
    "coinbase products": lambda body: wire.read_products(page("coinbase", "products", body)),
    "coinbase candles": lambda body: wire.read_candles([page("coinbase", "candles", body, CANDLES)]),
    "pacifica account": lambda body: wire.read_balances("pacifica", [page("pacifica", "account", body)])[1],
    "pacifica history": lambda body: wire.read_history("pacifica", [page("pacifica", "history", body)]),
    "cryptofuse balances": lambda body: wire.read_balances("cryptofuse", [page("cryptofuse", "balances", body)])[1],
    "cryptofuse history": lambda body: wire.read_history("cryptofuse", [page("cryptofuse", "history", body)]),
    "cryptofuse currencies": lambda body: wire.read_currencies(page("cryptofuse", "currencies", body)),
}
_WORDS = [
    "id",
    "currency",
    "balance",
    "amount",
    "created_at",
    "type",
    "event_type",
    "pending_balance",
    "timestamp",
    "balance_after",
    "profile_id",
]
_leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["1.5", "NaN", "1e18", "2024-01-01T00:00:00Z"])
)
_json = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.sampled_from(_WORDS) | st.text(max_size=3), inner, max_size=8),
    max_leaves=20,
)
_wrapped = {
    "coinbase ledger": lambda rows: rows,
    "pacifica history": lambda rows: {"success": True, "data": rows},
    "cryptofuse history": lambda rows: {"history": rows, "total": len(rows), "limit": 100, "offset": 0},
}


@pytest.mark.parametrize("reader", READERS)
@given(body=st.binary(max_size=60) | _json.map(lambda value: json.dumps(value).encode()))
def test_junk_is_read_refused_or_unreadable(reader, body):
    with suppress(Unreadable):
        reading = READERS[reader](body)
        assert set(reading.refused.columns) == {"native_code", "reason", "row", "page_sha256", "position"}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("body", [b"[" * 100_000, b"[\xff]", b'["\xff"]', b"\xef\xbb\xbf[]", b'["\\ud800"]', b"", b'{"balance": 1'])
def test_what_is_not_json_is_unreadable(reader, body):
    with pytest.raises(Unreadable):
        READERS[reader](body)


@pytest.mark.parametrize("reader", _wrapped)
@given(rows=st.lists(_json, max_size=6))
def test_every_row_is_either_kept_or_refused(reader, rows):
    reading = READERS[reader](json.dumps(_wrapped[reader](rows)).encode())
    assert reading.rows.height + reading.refused.height == len(rows)
    assert {json.dumps(json.loads(row)) for row in reading.refused["row"]} <= {json.dumps(row) for row in rows}


def test_a_venue_nobody_can_read_is_our_own_bug():
    with pytest.raises(ContractError, match="bitmex"):
        wire.read_history("bitmex", [])
