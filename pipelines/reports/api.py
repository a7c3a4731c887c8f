"""POST /reports, GET /reports, GET /reports/{id}, and files by their link: Coinbase's shapes over the desk. Nothing is made here."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException

from pipelines import __version__
from pipelines.errors import ClosebookError, UsageError
from pipelines.reports.accepting import Reception
from pipelines.reports.desk import Desk
from pipelines.reports.directory import Directory
from pipelines.reports.door import LOG, PAGE, Door
from pipelines.reports.keys import Key, KeyRing
from pipelines.reports.requests import TooMany
from pipelines.reports.shapes import Created, Problem, Report, ReportRequest, Text, Type
from pipelines.reports.showing import report, visible
from pipelines.reports.signing import Gate, Refusal
from pipelines.reports.times import instant, stamp

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "Refused, and why"},
    503: {"model": Problem, "description": "Not now"},
}
_HEADERS = ("CB-ACCESS-KEY", "CB-ACCESS-SIGN", "CB-ACCESS-TIMESTAMP", "CB-ACCESS-PASSPHRASE")
_MEDIA = {".csv": "text/csv", ".json": "application/json", ".pdf": "application/pdf", ".zip": "application/zip"}
_KEPT = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
ABOUT = """Statements of balances at any second, from the published book, by request.

Every call carries Coinbase's four headers: `CB-ACCESS-SIGN` is the base64 of the HMAC-SHA256, under the base64-decoded secret, of
timestamp + method + path with query + body. A timestamp lives 30 seconds; a POST counts once. `file_url` needs no header."""


class Api:
    """The handlers; `url` is how the outside reaches them, `hurry` wakes the maker."""

    def __init__(self, desk: Desk, url: str, hurry: Callable[[], None]) -> None:
        self.desk, self._url, self._hurry = desk, url, hurry
        self._reception = Reception(Directory(desk.home))

    def create(self, asked: ReportRequest, request: Request) -> Created:
        """Ask for a statement: the reply comes at once, the file when it is made."""
        key: Key = request.state.key
        wanted = self._reception.understand(asked, key, self.desk.clock())
        try:
            settings = self.desk.settings
            made = self.desk.requests.accept(key.id, wanted, self._url, settings.open_requests, timedelta(days=settings.link_days))
        except TooMany:
            raise Refusal(429, f"The key has {settings.open_requests} open requests; wait until one has ended.") from None
        self._hurry()
        return Created(id=made, type="balance", status="pending")

    def all(
        self,
        request: Request,
        profile_id: Text | None = None,
        after: Annotated[Text | None, Query(description="Only reports created after this instant.")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        type: Type | None = None,
        ignore_expired: bool = False,
    ) -> list[Report]:
        """The reports of the portfolios that the key opens, newest first."""
        at = self.desk.clock()
        since = stamp(instant(after, "after", at)) if after else None
        conditions = visible(request.state.key, profile_id, since, type, stamp(at) if ignore_expired else None)
        return [report(self.desk, row, request.state.key) for row in self.desk.requests.newest(*conditions, limit=limit)]

    def one(self, report_id: str, request: Request) -> Report:
        """How far a report has come."""
        row, key = self.desk.requests.find(report_id), request.state.key
        if row is None or not key.opens(row["portfolio"]):
            raise Refusal(404, "NotFound")
        return report(self.desk, row, key)

    def file(self, report_id: str, token: str) -> Response:
        """The statement itself, while its link lives."""
        row = self.desk.requests.find(report_id)
        if row is None or not hmac.compare_digest(token.encode(), self.desk.vault.token(row["id"]).encode()):
            raise Refusal(404, "NotFound")
        if row["status"] != "ready":
            raise Refusal(404, f"The report is {row['status']}; there is no file.")
        if row["expires_at"] <= stamp(self.desk.clock()):
            raise Refusal(410, f"This link expired at {row['expires_at']}; the same request brings the same statement again.")
        if self.desk.requests.revoked(row["key_id"]):
            raise Refusal(410, "The key that asked for this report was revoked, and its links with it.")
        if (document := self.desk.document(row["document"])) is None:
            raise Refusal(503, "The stored statement is not what was issued; ask for it again.")
        headers = _KEPT | {"Content-Disposition": f'attachment; filename="{document.path.name}"'}
        kind = _MEDIA.get(document.path.suffix, "application/octet-stream")
        return Response(document.path.read_bytes(), media_type=kind, headers=headers)


def application(desk: Desk, url: str, hurry: Callable[[], None] = lambda: None) -> FastAPI:
    api = Api(desk, url, hurry)
    app = FastAPIOffline(title="Closebook Reports", version=__version__, description=ABOUT, redoc_url=None, static_url=PAGE)
    app.add_api_route("/reports", api.create, methods=["POST"], responses=_PROBLEMS, response_model=Created)
    app.add_api_route("/reports", api.all, responses=_PROBLEMS, response_model=list[Report])
    app.add_api_route("/reports/{report_id}", api.one, responses=_PROBLEMS, response_model=Report)
    file = {200: {"content": {"application/octet-stream": {}}, "description": "The file"}, **_PROBLEMS}
    app.add_api_route("/files/{report_id}/{token}", api.file, responses=file, response_class=Response)
    _say_what_went_wrong(app)
    _describe_signing(app)
    app.router.redirect_slashes = False
    app.add_middleware(Door, gate=Gate(KeyRing(desk.store, desk.vault, desk.clock), desk.clock))
    return app


def _say_what_went_wrong(app: FastAPI) -> None:
    """Every error is {"message": …}."""

    def refused(_: Request, no: Exception) -> JSONResponse:
        return _problem(no.status, no.message) if isinstance(no, Refusal) else _problem(500, "")

    def ours(_: Request, error: Exception) -> JSONResponse:
        if isinstance(error, UsageError):
            return _problem(400, str(error))
        LOG.error("a request was not answered: %s", error)
        return _problem(503, "Not now; the log of the API says why.")

    def invalid(_: Request, error: Exception) -> JSONResponse:
        return _problem(400, _first(error.errors()) if isinstance(error, RequestValidationError) else "")

    def other(_: Request, error: Exception) -> JSONResponse:
        unknown = isinstance(error, HTTPException) and error.status_code == 404
        status = error.status_code if isinstance(error, HTTPException) else 500
        return _problem(status, "NotFound" if unknown else str(getattr(error, "detail", "")))

    def bug(_: Request, error: Exception) -> JSONResponse:
        return _problem(500, f"This is a bug of ours: {type(error).__name__}.")

    handlers = {Refusal: refused, ClosebookError: ours, RequestValidationError: invalid, HTTPException: other, Exception: bug}
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _problem(status: int, message: str) -> JSONResponse:
    return JSONResponse({"message": message}, status)


def _first(errors: Any) -> str:
    """The first complaint and its place, without what was sent."""
    if errors[0]["type"] == "json_invalid":
        return "The body is not JSON."
    place = ".".join(str(part) for part in errors[0]["loc"][1:])
    return f"{place or 'The body'}: {errors[0]['msg'].removeprefix('Value error, ')}"


def _describe_signing(app: FastAPI) -> None:
    """The four headers, together, on everything under /reports."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        document = plain()
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes.update({name: {"type": "apiKey", "in": "header", "name": name} for name in _HEADERS})
        for path, item in document["paths"].items():
            for operation in item.values():
                operation["security"] = [{name: [] for name in _HEADERS}] if path.startswith("/reports") else []
        return document

    app.openapi = described  # type: ignore[method-assign]
