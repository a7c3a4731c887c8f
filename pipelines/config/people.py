"""Who is told, and how: the Reports API, mail, alerts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from pipelines.config.kinds import Frozen, Url


class Mail(Frozen):
    """The server that takes mail: of reports that are ready or failed, and of alerts."""

    host: str = Field(min_length=1, description="the mail server")
    port: int = Field(default=587, ge=1, le=65535, description="its port")
    security: Literal["starttls", "tls", "none"] = Field(default="starttls", description="how the line is encrypted")
    sender: str = Field(min_length=3, description="the address mail comes from")
    user: str | None = Field(default=None, description="who logs in")
    password: SecretStr | None = Field(default=None, description="with what")
    timeout: float = Field(default=20.0, gt=0, description="seconds a mail may take")


class Reports(Frozen):
    """The Reports API: where it listens, how much it takes on, how long its links live."""

    host: str = Field(default="127.0.0.1", description="the address to listen on")
    port: int = Field(default=8321, ge=1, le=65535, description="the port to listen on")
    url: Url | None = Field(default=None, description="how people reach it, where that is not host and port")
    open_requests: int = Field(default=20, ge=1, description="requests of one key that may wait at a time")
    link_days: int = Field(default=7, ge=1, description="days a link to a report works")


class Alerts(Frozen):
    """Who is told when a run fails, a check blocks or a portfolio is not pulled: once per cause, by the daemon of `closebook ui`."""

    email: str | None = Field(default=None, min_length=3, description="an address; mail goes by the server of [mail]")
    webhook: SecretStr | None = Field(default=None, description="where {text} is posted as JSON; env:NAME, file:PATH, or clear on loopback")
    timeout: float = Field(default=20.0, gt=0, description="seconds the webhook may take")
