"""Whatever the OpenAPI document allows or forbids: no 5xx, and every reply is of the shape the document gives it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from pipelines.config import Reports
from pipelines.reports.directory import Directory
from tests.reports.house import Client, House, listening

EXAMPLES = int(os.environ.get("CLOSEBOOK_TORTURE", "15"))
PATHS = [  # the last knows no negative: any text is a path
    ("POST", "/reports"),
    ("GET", "/reports"),
    ("GET", "/reports/{report_id}"),
    ("GET", "/files/{report_id}/{token}"),
]


@pytest.fixture(scope="module")
def house(tmp_path_factory, january_book) -> Iterator[House]:
    with listening(tmp_path_factory.mktemp("house") / "home", january_book, Reports(open_requests=10_000)) as opened:
        yield opened


class Signed(requests.auth.AuthBase):
    """The four headers over what is really sent."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __call__(self, request: Any) -> Any:
        parts = urlsplit(request.url)
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        signed = self._client.headers(request.method, parts.path + (f"?{parts.query}" if parts.query else ""), body)
        request.headers.update({name: value for name, value in signed.items() if name.startswith("CB-")})
        return request


@pytest.mark.parametrize(("method", "path", "mode"), [(*place, mode) for place in PATHS for mode in GenerationMode][:-1])
def test_no_5xx(house, method, path, mode) -> None:
    schema = schemathesis.openapi.from_url(f"{house.url}/openapi.json")
    signed, seen = Signed(house.client()), []

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def everything(data: st.DataObject) -> None:
        case = data.draw(schema[path][method].as_strategy(generation_mode=mode))
        reply = case.call(auth=signed)
        case.validate_response(reply, checks=[checks.not_a_server_error, response_schema_conformance, status_code_conformance])
        seen.append(reply.status_code)

    everything()
    assert seen
    assert not [status for status in seen if status >= 500]
    if "files" not in path:
        assert 401 not in seen, "what was sent was signed"


def test_the_document_says_how_to_sign_and_what_there_is(house) -> None:
    document = httpx.get(f"{house.url}/openapi.json", trust_env=False).json()
    assert [(method.upper(), path) for path, item in document["paths"].items() for method in item] == PATHS
    assert list(document["paths"]["/reports"]["post"]["security"][0]) == list(document["components"]["securitySchemes"])
    assert document["paths"]["/files/{report_id}/{token}"]["get"]["security"] == []
    assert "422" not in str(document)


EDGES = ["1970-01-02T00:00:00Z", "2025-02-01T00:00:00Z", "2025-01-31T23:59:59.999999Z"]
MOMENTS = st.integers(2 * 86_400, 1_767_225_600).map(lambda seconds: datetime.fromtimestamp(seconds, UTC).isoformat())
BALANCES = st.fixed_dictionaries(
    {},
    optional={
        "datetime": st.just("") | MOMENTS | st.sampled_from(EDGES),
        "known_at": MOMENTS,
        "group_by": st.sampled_from(["portfolio", "asset"]),
        "calendar": st.sampled_from(["utc", "new_york"]),
    },
)


def test_what_is_accepted_is_made(house) -> None:
    client, accepted = house.client(), []

    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(BALANCES, st.sampled_from(["csv", "json"]), st.sampled_from(sorted(house_profiles(house))) | st.none())
    def ask(balance: dict[str, str], form: str, profile: str | None) -> None:
        reply = client.post({"type": "balance", "format": form, "balance": balance, "profile_id": profile})
        assert reply.status_code == 200, reply.text
        accepted.append(reply.json()["id"])

    ask()
    house.make()
    ended = {one: client.report(one) for one in accepted}
    assert {shown["status"] for shown in ended.values()} == {"ready"}, [s["reason"] for s in ended.values() if s["reason"]]
    assert client.fetch(accepted[-1]).status_code == 200


def house_profiles(house: House) -> list[str]:
    return list(Directory(house.home).names().profiles.values())


def test_the_page_that_describes_it_needs_no_other_host(house) -> None:
    page = httpx.get(f"{house.url}/docs", trust_env=False).text
    assert "http" not in page.replace("http-equiv", ""), "no host, neither another nor ours"
    parts = set(re.findall(r'(?:src|href)="([^"]+)"', page))
    assert {part.rpartition(".")[2] for part in parts} == {"js", "css", "png"}
    assert {httpx.get(house.url + part, trust_env=False).status_code for part in parts} == {200}
