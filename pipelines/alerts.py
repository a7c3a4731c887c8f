"""What is wrong with the book → one mail and one call of a webhook per cause. What is wrong, is said by `defs.alerts`; no figures here.

A cause is told once, and again only after it was gone. What could not be told is told at the next occasion.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from functools import partial
from typing import Any

import httpx
from pydantic import SecretStr

from pipelines.config import Alerts, Mail, is_loopback, reveal
from pipelines.errors import ConfigError
from pipelines.home import Home, machine_errors, write_atomically
from pipelines.mail import mailer

Send = Callable[[str, str], None]
REMEMBERED = "alerts-to.json"
Causes = Mapping[str, str]
"""What is wrong, under a name that stays the same while it is: the sentence that says so."""


def tell(home: Home, alerts: Alerts, mail: Mail | None, causes: Causes) -> list[str]:
    """Tell what was not told yet, and forget what is gone → the names of what was told.

    Each way remembers for itself, as soon as it was taken: one that fails silences no other and repeats nothing there; the first
    failure (the transport's error) is raised when all were tried.
    """
    path, told, failures = home.root / "alerts.json", [], []
    known: dict[str, list[str]] = json.loads(path.read_text()) if path.exists() else {}
    for way, send in _ways(alerts, mail):
        new = [name for name in causes if name not in known.get(way, ())]
        try:
            if new:
                send(_subject(home, new), "\n\n".join(causes[name] for name in new))
            known |= {way: list(causes)}
            with machine_errors("What was told cannot be noted"):
                write_atomically(path, json.dumps(known, indent=2).encode(), 0o600)
        except Exception as failure:  # whatever it is, a full disk too, the other way is tried
            failures.append(failure)
            continue
        told += [name for name in new if name not in told]
    if failures:
        raise failures[0]
    return told


def _subject(home: Home, new: list[str]) -> str:
    return f"Closebook: {len(new)} thing{'s' if len(new) > 1 else ''} to look at in {home.root.name}"


def remember(home: Home, alerts: Alerts, mail: Mail | None) -> None:
    """Keep in the home who is told, for the day on which the configuration cannot be read; a secret only as the place it lies in."""
    webhook, password = _place(alerts.webhook, True), _place(mail.password if mail else None, False)
    kept: dict[str, Any] = {"alerts": alerts.model_dump(mode="json") | {"webhook": webhook}}
    if mail:
        kept["mail"] = mail.model_dump(mode="json") | {"password": password}
    path, body = home.root / REMEMBERED, json.dumps(kept, indent=2).encode()
    with suppress(OSError):  # a full disk must stop neither the run nor those who would be told of it
        if home.root.exists() and not (path.exists() and path.read_bytes() == body):
            write_atomically(path, body, 0o600)


def _place(secret: SecretStr | None, an_address: bool) -> str | None:
    """`env:NAME`, `file:PATH`, or an address of this machine; what stands in clear elsewhere is not kept."""
    text = secret.get_secret_value() if secret else ""
    return text if text.startswith(("env:", "file:")) or (an_address and is_loopback(text)) else None


def remembered(home: Home) -> tuple[Alerts, Mail | None]:
    """Who was to be told when a configuration could last be read; nobody where none ever could."""
    path = home.root / REMEMBERED
    kept = json.loads(path.read_text()) if path.exists() else {}
    return Alerts(**kept.get("alerts", {})), Mail(**kept["mail"]) if "mail" in kept else None


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
