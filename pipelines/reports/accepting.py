"""A request's body, the key that sent it and the publication → what is wanted; or a refusal that says why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.errors import UsageError
from pipelines.reports.directory import Directory, Names
from pipelines.reports.keys import Key
from pipelines.reports.requests import Wanted
from pipelines.reports.shapes import Balance, By, ReportRequest
from pipelines.reports.signing import Refusal
from pipelines.reports.times import instant, second, stamp

_NOW = timedelta(seconds=5)  # a clock that runs ahead of ours a little still asks for now


@dataclass(frozen=True)
class Reception:
    directory: Directory

    def understand(self, body: ReportRequest, key: Key, at: datetime) -> Wanted:
        if body.type != "balance":
            raise UsageError(f"Reports of type {body.type} are not made here.", "Ask for type balance.")
        if body.balance is None:
            raise UsageError("balance is required for reports of type balance.", 'Send at least "balance": {}, for now.')
        if not self.directory.home.publication.exists():
            raise Refusal(503, "Nothing has been published here yet; ask again when the first day is closed.")
        names = self.directory.names()
        portfolio = scope(body.profile_id, key, names)
        return Wanted(
            portfolio=portfolio,
            profile_id=names.profiles[portfolio] if portfolio else None,
            form=body.format,
            as_of=second(self._as_of(body.balance, names, at)),
            by=grouping(body),
            calendar=body.balance.calendar or "utc",
            known_at=stamp(instant(body.balance.known_at, "balance.known_at", at)) if body.balance.known_at else None,
            email=body.email or None,
        )

    def _as_of(self, balance: Balance, names: Names, at: datetime) -> datetime:
        calendar = balance.calendar or "utc"
        if calendar not in names.calendars and (balance.calendar or balance.day):
            raise UsageError(f"The book has no calendar of this name; it has {', '.join(sorted(names.calendars))}.")
        if balance.day and balance.moment:
            raise UsageError("balance.datetime and balance.day are two answers to one question.", "Send one of them.")
        if balance.day:
            return instant(self.directory.end_of(balance.day, calendar).isoformat(), "The end of balance.day", at)
        return min(instant(balance.moment, "balance.datetime", at + _NOW), at) if balance.moment else at


def scope(profile_id: str | None, key: Key, names: Names) -> str | None:
    """The portfolio asked for, None for all of them; never one that the key does not open."""
    if profile_id:
        portfolio = names.portfolio(profile_id)
        if portfolio is None or not key.opens(portfolio):
            raise Refusal(403, "Forbidden: profile_id is not the key's own.")
        return portfolio
    if key.portfolios is None:
        return None
    mine = sorted(key.portfolios & names.profiles.keys())
    if len(mine) != 1:
        raise UsageError(f"The key opens {len(mine)} portfolios of this book.", "Say which one by profile_id.")
    return mine[0]


def grouping(body: ReportRequest) -> By:
    """However it is spelled; two spellings may not contradict each other."""
    flags, said = [body.group_by_profile], set[By]()
    if (balance := body.balance) is not None:
        flags += [balance.group_by_profile, balance.group_by_portfolio_id]
        said |= {balance.group_by} if balance.group_by else set()
    said |= {"portfolio" if flag else "asset" for flag in flags if flag is not None}
    if len(said) > 1:
        raise UsageError("The grouping is said twice, and differently.", "Send group_by alone.")
    return said.pop() if said else "portfolio"
