"""A report is ready or failed → one mail with its link and no figures. What a mail server says no to is tried again later."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

from pipelines.config import Smtp, reveal

Mailer = Callable[[EmailMessage], None]


def mailer(smtp: Smtp) -> Mailer:
    """Hands a message to the configured server; SMTPException or OSError where it does not take it."""
    password = reveal(smtp.password, f"smtp://{smtp.host}", "[reports.smtp]") if smtp.password else ""

    def send(message: EmailMessage) -> None:
        with _connected(smtp) as server:
            if smtp.user:
                server.login(smtp.user, password)
            message["From"] = smtp.sender
            server.send_message(message)

    return send


def _connected(smtp: Smtp) -> smtplib.SMTP:
    if smtp.security == "tls":
        return smtplib.SMTP_SSL(smtp.host, smtp.port, timeout=smtp.timeout, context=ssl.create_default_context())
    server = smtplib.SMTP(smtp.host, smtp.port, timeout=smtp.timeout)
    if smtp.security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server


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
