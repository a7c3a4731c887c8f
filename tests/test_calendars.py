"""Every calendar tells the same ledger: what a day opens with the day before closed with, and between two cut-offs lie the postings."""

from __future__ import annotations

import csv
import io
import random
import shutil
import subprocess
from datetime import date, datetime, timedelta
from functools import cache
from itertools import pairwise

import polars as pl
import pytest

from pipelines.stages import days as day_stage
from pipelines.stages import snapshots
from pipelines.tables import CALENDARS, POSTINGS
from tests.ledger_text import D, instant
from tests.stages.scenario import KNOWN, accounts, openings, watermarks

FIRST, LAST = date(2025, 3, 1), date(2025, 11, 10)  # both clock changes of New York lie within
ZONES = {
    "utc": ("UTC", "00:00"),
    "new_york": ("America/New_York", "17:00"),
    "tokyo": ("Asia/Tokyo", "00:00"),
    "kolkata": ("Asia/Kolkata", "00:00"),
}
CHANGES = [instant(f"2025-{day}T{hour}:00:00Z") for day in ("03-09", "11-02") for hour in ("05", "06", "07")]
OPENINGS = {1: D("12.5"), 2: D(0), 3: D("-3.000000000000000001")}


@cache
def postings() -> pl.DataFrame:
    """A few a day for three accounts, many around the clock changes, several on the cut-offs themselves."""
    chance = random.Random(11)
    start, seconds = instant(str(FIRST)) - timedelta(days=3), int(timedelta(days=(LAST - FIRST).days + 6).total_seconds())
    cut_offs = calendar_days().filter(pl.int_range(pl.len()) % 9 == 0)["as_of"].to_list()
    moments = [start + timedelta(seconds=chance.randrange(seconds), microseconds=chance.randrange(10**6)) for _ in range(1200)]
    moments += [moment + timedelta(microseconds=offset) for moment in cut_offs + CHANGES for offset in (-1, 0, 1)]
    balance, rows_, last = dict(OPENINGS), [], {}
    for at in sorted(moments):
        account = chance.choice(list(OPENINGS))
        amount = D(chance.randrange(-(10**8), 10**8)) / 10 ** chance.choice((2, 8, 18))
        balance[account] += amount
        position = last[account][1] + 1 if last.get(account, (None,))[0] == at else 0
        last[account] = (at, position)
        rows_.append({"account_id": account, "occurred_at": at, "position": position, "amount": amount, "balance_after": balance[account]})
    shared = {"event_type": "match", "recorded_at": KNOWN, "page_sha256": "page"}
    return POSTINGS.frame([row | shared for row in rows_])


@cache
def calendar_days() -> pl.DataFrame:
    frame = CALENDARS.frame([{"calendar": c, "timezone": z, "cut_off": t} for c, (z, t) in ZONES.items()])
    return day_stage.days(frame, FIRST, LAST)


@cache
def closed() -> pl.DataFrame:
    opened = "\n".join(f"{n} | ASSERTED | {amount} | 2020-01-01" for n, amount in OPENINGS.items())
    known = openings(f"account_id | kind | amount | opened_at\n{opened}")
    named = accounts("account_id | native_code\n" + "\n".join(f"{n} | C{n}" for n in OPENINGS))
    read = watermarks("account_id | read_through\n" + "\n".join(f"{n} | 2026-01-01" for n in OPENINGS))
    return snapshots.daily_balances(postings().lazy(), known, named, read, calendar_days().lazy()).collect()


def moved(account: int, since: datetime, until: datetime) -> D:
    mine = postings().filter(pl.col("account_id") == account, pl.col("occurred_at") >= since, pl.col("occurred_at") < until)
    return sum(mine["amount"].to_list(), D(0))


@pytest.mark.parametrize("calendar", ZONES)
@pytest.mark.parametrize("account", OPENINGS)
def test_a_day_closes_with_what_it_opened_with_and_its_flows(calendar: str, account: int) -> None:
    mine = closed().filter(calendar=calendar, account_id=account).sort("as_of").select("as_of", "balance").rows()
    assert len(mine) == (LAST - FIRST).days + 1
    assert mine[0][1] == OPENINGS[account] + moved(account, instant("2020-01-01"), mine[0][0])
    for (opened_at, opening), (closed_at, closing) in pairwise(mine):
        assert opening + moved(account, opened_at, closed_at) == closing, closed_at


def test_between_the_cut_offs_of_any_two_calendars_lie_the_postings_between_them() -> None:
    for account in OPENINGS:
        ends = closed().filter(account_id=account).sort("as_of", "calendar").select("as_of", "balance").rows()
        for (one, before), (other, after) in pairwise(ends):
            assert before + moved(account, one, other) == after, other
    lengths = {b - a for a, b in pairwise(calendar_days().filter(calendar="new_york").sort("as_of")["as_of"])}
    assert {timedelta(hours=23), timedelta(hours=24), timedelta(hours=25)} == lengths


@pytest.mark.skipif(shutil.which("hledger") is None, reason="hledger is not installed (Debian package hledger)")
def test_hledger_agrees_with_every_daily_balance() -> None:
    """One command, one column a day: accounts at the end of each UTC day, opening included."""
    entries = [f"2020-01-01 opening\n    a{n}  {amount:f} X\n    equity" for n, amount in OPENINGS.items()]
    columns = postings().select("occurred_at", "account_id", "amount").iter_rows()
    entries += [f"{at:%Y-%m-%d} entry\n    a{account}  {amount:f} X\n    equity" for at, account, amount in columns]
    words = [
        "hledger",
        "-f",
        "-",
        "balance",
        "--daily",
        "--historical",
        "--empty",
        "--no-total",
        "-O",
        "csv",
        "-c",
        "1.000000000000000000 X",
    ]
    words += ["-b", f"{FIRST}", "-e", f"{LAST + timedelta(days=1)}", "^a"]
    done = subprocess.run(words, input="\n\n".join(entries) + "\n", capture_output=True, text=True, check=True)
    head, *lines = list(csv.reader(io.StringIO(done.stdout)))
    told = {(line[0], day): D(cell.removesuffix(" X") or "0") for line in lines for day, cell in zip(head[1:], line[1:], strict=True)}
    ours = closed().filter(calendar="utc").select("account_id", "day", "balance").iter_rows()
    checked = [(told[f"a{account}", f"{day}"], balance) for account, day, balance in ours]
    assert len(checked) == 3 * ((LAST - FIRST).days + 1)
    assert all(theirs == balance for theirs, balance in checked)


def test_the_ledger_of_these_tests_is_awkward() -> None:
    assert postings().height > 1500
    ends = set(calendar_days()["as_of"])
    assert postings()["occurred_at"].is_in(list(ends)).sum() > 50
