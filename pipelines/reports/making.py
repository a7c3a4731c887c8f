"""Pending requests → statements in the folder of reports. One maker at a time; one that dies leaves nothing half-done.

The kernel's lock on the workshop says whether a maker lives; whatever is `creating` when a new one takes it was left behind.
"""

from __future__ import annotations

import fcntl
import os
import smtplib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from email.message import EmailMessage
from typing import Any

from pipelines import publications, statements
from pipelines.errors import ClosebookError, ConfigError
from pipelines.home import Home, machine_errors
from pipelines.mail import Mailer, mailer
from pipelines.reports.desk import Desk
from pipelines.reports.mail import message
from pipelines.reports.requests import MOST_ATTEMPTS
from pipelines.telling import telling

SIGN = "daemon"  # touched by the daemon's sensor at each of its looks
ALIVE = 30.0  # seconds after which a daemon that has not looked is none
Say = Callable[[str], None]


def drain(desk: Desk, say: Say = lambda _: None) -> list[Any] | None:
    """Make all that is pending and tell who wants to be told; the requests that ended. None: somebody else is at it."""
    with workshop(desk.home) as mine:
        if not mine:
            return None
        desk.requests.recover()
        ended = [done for row in iter(desk.requests.claim, None) if (done := _make(desk, row, say))]
        _tell(desk, say)
    return ended


@contextmanager
def workshop(home: Home, wait: float = 0) -> Iterator[bool]:
    """Whether it is ours for the block; the kernel frees it with the process that holds it."""
    with machine_errors("The workshop of reports cannot be entered"):
        home.reports.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(home.reports / "work.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield _taken(handle, time.monotonic() + wait)
    finally:
        os.close(handle)


def _taken(handle: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.1)
        else:
            return True


def _make(desk: Desk, row: Any, say: Say) -> Any:
    """One request, to its end; None where it goes back to be tried again."""
    try:
        question = _question(row)
        with (
            publications.newest(desk.home) as newest,
            telling(desk.home, newest, question.as_of, known_at=question.known_at, rather=question.calendar) as told,
        ):
            made = desk.issue(told, question, row["form"])
        desk.requests.ready(row["id"], made.question)
    except Exception as error:
        hopeless = isinstance(error, ClosebookError) and error.exit_code != 4
        if not hopeless and row["attempts"] < MOST_ATTEMPTS:
            say(f"report {row['id']} will be tried again: {error}")
            desk.requests.again(row["id"])
            return None
        desk.requests.failed(row["id"], str(error) if isinstance(error, ClosebookError) else f"A bug of ours: {type(error).__name__}.")
        say(f"report {row['id']} failed: {type(error).__name__}: {error}")
    return desk.requests.find(row["id"])


def _question(row: Any) -> statements.Question:
    known = datetime.fromisoformat(row["known_at"]) if row["known_at"] else None
    return statements.Question(datetime.fromisoformat(row["as_of"]), known, row["portfolio"], row["by"], row["calendar"])


def _tell(desk: Desk, say: Say) -> None:
    """At least once each: who dies between sending and noting it sends twice. A server that is away is asked once."""
    waiting = desk.requests.to_tell()
    send = _mailer(desk, say) if waiting else None
    away = False
    for row in waiting:
        if send is None:
            desk.requests.told(row["id"])
        elif away or (trouble := _sent(send, message(row, desk.link(row)))):
            away = away or not isinstance(trouble, smtplib.SMTPResponseException)
            say(f"mail about report {row['id']} will be tried again: {trouble}")
            desk.requests.not_told(row)
        else:
            desk.requests.told(row["id"])


def _sent(send: Mailer, mail: EmailMessage) -> Exception | None:
    try:
        send(mail)
    except (smtplib.SMTPException, OSError) as error:
        return error
    return None


def _mailer(desk: Desk, say: Say) -> Mailer | None:
    """None without a configured server: nobody is told."""
    try:
        return mailer(desk.mail) if desk.mail else None
    except ConfigError as wrong:
        say(str(wrong))
        return None


def show_life(home: Home) -> None:
    """The daemon's sensor looked just now."""
    (home.reports / SIGN).touch()


def daemon_lives(home: Home) -> bool:
    try:
        return time.time() - (home.reports / SIGN).stat().st_mtime < ALIVE
    except FileNotFoundError:
        return False
