"""What is wrong with the book → one mail and one call of a webhook per cause. What is wrong, is said by `defs.alerts`; no figures here.

A cause is told once, and again only after it was gone. What could not be told is told at the next occasion.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from functools import partial

import httpx
from pydantic import SecretStr

from pipelines.config import Alerts, Mail, reveal
from pipelines.errors import ConfigError
from pipelines.home import Home, machine_errors, write_atomically
from pipelines.mail import mailer

Send = Callable[[str, str], None]
Causes = Mapping[str, str]
"""What is wrong, under a name that stays the same while it is: the sentence that says so."""


def tell(home: Home, alerts: Alerts, mail: Mail | None, causes: Causes) -> list[str]:
    """Tell what was not told yet, and forget what is gone → the names of what was told.

    Each way remembers for itself, as soon as it was taken: one that fails (the transport's error) repeats nothing on the others.
    """
    path, told = home.root / "alerts.json", []
    known: dict[str, list[str]] = json.loads(path.read_text()) if path.exists() else {}
    for way, send in _ways(alerts, mail):
        new = [name for name in causes if name not in known.get(way, ())]
        if new:
            subject = f"Closebook: {len(new)} thing{'s' if len(new) > 1 else ''} to look at in {home.root.name}"
            send(subject, "\n\n".join(causes[name] for name in new))
        known |= {way: list(causes)}
        with machine_errors("What was told cannot be noted"):
            write_atomically(path, json.dumps(known, indent=2).encode(), 0o600)
        told += [name for name in new if name not in told]
    return told


def _ways(alerts: Alerts, mail: Mail | None) -> Iterator[tuple[str, Send]]:
    if alerts.email:
        yield "email", partial(_send, alerts.email, mail)
    if alerts.webhook:
        yield "webhook", partial(_post, alerts.webhook, alerts.timeout)


def _post(webhook: SecretStr, timeout: float, subject: str, text: str) -> None:
    url = reveal(webhook, webhook.get_secret_value(), "[alerts]")
    httpx.post(url, json={"text": f"{subject}\n{text}"}, timeout=timeout).raise_for_status()


def _send(to: str, mail: Mail | None, subject: str, text: str) -> None:
    if mail is None:
        raise ConfigError("[alerts] email needs a mail server.", "Configure [mail].")
    message = EmailMessage()
    message["To"], message["Subject"], message["Date"] = to, subject, formatdate()
    message["Message-ID"] = make_msgid(domain="closebook.invalid")
    message.set_content(f"{text}\n\nWhat to do about each is in docs/runbook.md; `closebook doctor` looks for more.\n")
    mailer(mail)(message)
