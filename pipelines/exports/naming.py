"""What a document on paper is called: whose it is, what it rests on, how it stands."""

from __future__ import annotations

from pipelines.exports.display import instant
from pipelines.exports.model import Heading


def scope(heading: Heading) -> str:
    return "all portfolios" if heading.scope_of == "all" else f"{heading.scope_of} {heading.scope}"


def identity(heading: Heading) -> str:
    return f"{heading.mark.words} · publication {heading.publication} · policies {heading.policies_sha256[:8]}"


def recorded(heading: Heading) -> str:
    return (
        f"Information recorded up to {instant(heading.known_at)}, publication {heading.publication}, "
        f"policies {heading.policies_sha256[:8]}, {heading.software}"
    )
