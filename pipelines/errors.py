"""Every error a person may meet, and what it means for them. No I/O, no library.

    ClosebookError                 exit   asking again helps?
    ├── UsageError                    2   no: the question is wrong
    ├── ConfigError                   2   no: the configuration or the home is wrong
    ├── MachineError                  4   when this machine allows it (disk, rights)
    │   ├── Busy                      4   yes: another run holds the book
    │   └── Outdated                  4   yes: a run builds the warehouse anew
    ├── VenueError                    3
    │   ├── Unreachable               3   yes: connection, time-out, 5xx
    │   ├── RateLimited               3   yes: later
    │   ├── Refused                   3   no: the key, its rights or the request
    │   └── Unreadable                3   no: the reply is not of the published shape
    ├── ChecksFailed                  1   no: a BLOCK check found violations
    └── ContractError                70   no: our own bug, a frame that is not of its table's form

Each carries one sentence on what happened and one on what to do.
"""

from __future__ import annotations

from typing import ClassVar


class ClosebookError(Exception):
    """What happened, in one sentence, and what to do about it, in another."""

    exit_code: ClassVar[int] = 70
    again: ClassVar[bool] = False

    def __init__(self, what: str, todo: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.todo = todo

    def __str__(self) -> str:
        return visible(f"{self.what} {self.todo}".strip())


class UsageError(ClosebookError):
    """The question cannot be answered as asked."""

    exit_code = 2


class ConfigError(ClosebookError):
    """The configuration, or the home it is used with, is wrong."""

    exit_code = 2


class MachineError(ClosebookError):
    """This machine does not let us: disk, rights, memory. Nothing changed."""

    exit_code = 4


class Busy(MachineError):
    """Another run holds the book's lock."""

    again = True


class Outdated(MachineError):
    """The warehouse is of another version's form, or none of ours at all."""

    again = True


class VenueError(ClosebookError):
    """A venue did not give what was asked. The other portfolios go on."""

    exit_code = 3


class Unreachable(VenueError):
    """No usable answer: connection, time-out, truncated body, 5xx."""

    again = True


class RateLimited(VenueError):
    """The venue asks us to slow down; `retry_after` in seconds where it says how long."""

    again = True

    def __init__(self, what: str, todo: str = "", retry_after: float | None = None) -> None:
        super().__init__(what, todo)
        self.retry_after = retry_after


class Refused(VenueError):
    """The venue answered, and the answer is no."""


class Unreadable(VenueError):
    """The reply is not of the shape the venue publishes."""


class ChecksFailed(ClosebookError):
    """The candidate book broke a blocking rule; the last publication stays."""

    exit_code = 1


class ContractError(ClosebookError):
    """A frame does not fit its table's contract: a bug of ours, never data's fault."""


def visible(text: str, keep: str = "") -> str:
    """Text of venues and configurations as it may go to a terminal: what would not print is shown as its code."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)
