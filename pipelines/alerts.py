"""What is wrong with the book → one mail and one call of a webhook per cause. What is wrong, is said by `defs.alerts`; no figures here.

A cause is told once, and again only after it was gone. What could not be told is told at the next occasion.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import httpx

from pipelines.config import Alerts, Smtp, reveal
from pipelines.errors import ConfigError
from pipelines.home import Home, machine_errors, write_atomically
from pipelines.reports.mail import mailer

Causes = Mapping[str, str]
"""What is wrong, under a name that stays the same while it is: the sentence that says so."""


def tell(home: Home, alerts: Alerts, smtp: Smtp | None, causes: Causes) -> list[str]:
    """Tell what was not told yet, and forget what is gone → the names of what was told. The transport's error where nobody heard."""
    path = home.root / "alerts.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    new = [name for name in causes if name not in known]
    if new:
        text = "\n\n".join(causes[name] for name in new)
        subject = f"Closebook: {len(new)} thing{'s' if len(new) > 1 else ''} to look at in {home.root.name}"
        if alerts.email:
            _mail(alerts.email, smtp, subject, text)
        if alerts.webhook:
            url = reveal(alerts.webhook, alerts.webhook.get_secret_value(), "[alerts]")
            httpx.post(url, json={"text": f"{subject}\n{text}"}, timeout=alerts.timeout).raise_for_status()
    if dict(causes) != known:
        with machine_errors("What was told cannot be noted"):
            write_atomically(path, json.dumps(dict(causes), indent=2).encode(), 0o600)
    return new


def _mail(to: str, smtp: Smtp | None, subject: str, text: str) -> None:
    if smtp is None:
        raise ConfigError("[alerts] email needs a mail server.", "Configure [reports.smtp].")
    mail = EmailMessage()
    mail["To"], mail["Subject"], mail["Date"] = to, subject, formatdate()
    mail["Message-ID"] = make_msgid(domain="closebook.invalid")
    mail.set_content(f"{text}\n\nWhat to do about each is in docs/runbook.md; `closebook doctor` looks for more.\n")
    mailer(smtp)(mail)
