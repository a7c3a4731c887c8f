"""A request as Coinbase's reply shows it, and which requests a key may see."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from pipelines.reports.desk import Desk
from pipelines.reports.keys import Key
from pipelines.reports.shapes import Params, Report, Status
from pipelines.reports.store import REQUESTS
from pipelines.reports.times import stamp


def report(desk: Desk, row: Any, key: Key) -> Report:
    status: Status = "expired" if row["status"] == "ready" and row["expires_at"] <= stamp(desk.clock()) else row["status"]
    return Report(
        id=row["id"],
        type="balance",
        status=status,
        created_at=row["created_at"],
        completed_at=row["completed_at"],
        expires_at=row["expires_at"],
        file_url=desk.link(row) if status == "ready" else None,
        file_count="1" if status == "ready" else None,
        user_id=row["key_id"],
        reason=row["reason"],
        params=_params(row, row["email"] if row["key_id"] == key.id else None),
    )


def _params(row: Any, email: str | None) -> Params:
    return Params(
        format=row["form"],
        profile_id=row["profile_id"],
        email=email,
        datetime=row["as_of"],
        group_by_profile=row["by"] == "portfolio",
        group_by=row["by"],
        calendar=row["calendar"],
        known_at=row["known_at"],
    )


def visible(key: Key, profile_id: str | None, since: str | None, kind: str | None, expired_at: str | None) -> list[sa.ColumnElement[bool]]:
    """Reports of the portfolios a key opens; the others do not exist for it."""
    conditions: list[sa.ColumnElement[bool]] = []
    if key.portfolios is not None:
        conditions.append(REQUESTS.c.portfolio.in_(key.portfolios))
    if profile_id:
        conditions.append(REQUESTS.c.profile_id == _canonical(profile_id))
    if since:
        conditions.append(REQUESTS.c.created_at > since)
    if kind not in (None, "balance"):
        conditions.append(sa.false())
    if expired_at:
        conditions.append(sa.or_(REQUESTS.c.expires_at > expired_at, REQUESTS.c.status != "ready"))
    return conditions


def _canonical(profile_id: str) -> str:
    try:
        return str(UUID(profile_id))
    except ValueError:
        return profile_id
