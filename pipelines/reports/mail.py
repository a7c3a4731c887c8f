"""A report is ready or failed → the mail with its link and no figures."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any


def message(row: Any, link: str) -> EmailMessage:
    """Link, never figures; of the statement only what the asker said."""
    made, scope = row["status"] == "ready", row["portfolio"] or "all portfolios"
    mail = EmailMessage()
    mail["To"] = row["email"]
    mail["Date"] = formatdate()
    mail["Message-ID"] = make_msgid(row["id"], "closebook.invalid")
    mail["Subject"] = f"Closebook: your report is {'ready' if made else 'not possible'}"
    asked = f"You asked for the balances of {scope} as of {row['as_of']} ({row['form']}), report {row['id']}.\n\n"
    ready = f"It is ready. Until {row['expires_at']} it can be fetched here, by anyone who has this link:\n{link}\n"
    mail.set_content(asked + (ready if made else f"It could not be made: {row['reason']}\n"))
    return mail
