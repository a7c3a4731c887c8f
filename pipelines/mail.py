"""A message → the configured mail server, on an encrypted line unless told otherwise. What is said, others know."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage

from pipelines.config import Mail, reveal

Mailer = Callable[[EmailMessage], None]


def mailer(mail: Mail) -> Mailer:
    """Hands a message to the configured server; SMTPException or OSError where it does not take it."""
    password = reveal(mail.password, f"smtp://{mail.host}", "[mail]") if mail.password else ""

    def send(message: EmailMessage) -> None:
        with _connected(mail) as server:
            if mail.user:
                server.login(mail.user, password)
            message["From"] = mail.sender
            server.send_message(message)

    return send


def _connected(mail: Mail) -> smtplib.SMTP:
    if mail.security == "tls":
        return smtplib.SMTP_SSL(mail.host, mail.port, timeout=mail.timeout, context=ssl.create_default_context())
    server = smtplib.SMTP(mail.host, mail.port, timeout=mail.timeout)
    if mail.security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server
