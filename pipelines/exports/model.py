"""What a statement says, before anybody writes it down: frames and facts. Every form prints these, and adds nothing up itself.

How they are found is `statements`' work; how they read in CSV, JSON, XLSX, Parquet and PDF is the other modules' here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

FOOTER = "Prepared by management from venue records. Not audited; not a venue confirmation."
INDICATIVE = (
    "Indicative value: 24-hour volume-weighted average of Coinbase hourly closes. "
    "Not a fair-value measurement; the price source may not be your principal market."
)
NO_GAINS = "Cost basis, gains and losses are not computed."
BASES = {"PAR": "par", "VWAP_24H": "market", "FIXED_POLICY": "fixed policy", "ALIAS_POLICY": "alias policy"}
METHOD = "VWAP_24H"
ROUNDING = "half-even"


@dataclass(frozen=True)
class Mark:
    """How a statement stands: an input of what is printed, as the question is. Who issued it, and when, is on its envelope."""

    state: str = "draft"
    number: str | None = None
    supersedes: str | None = None
    locked: str | None = None  # who locked its day, when and why
    later: str | None = None  # what came to be known since the lock, and is not in it
    opening: str | None = None  # whether its roll-forward opens with what was issued of that instant

    @property
    def words(self) -> str:
        """As the page says it: No. ACME-2025-01/2 · FINAL · supersedes ACME-2025-01/1."""
        if self.number is None:
            return "DRAFT, not issued"
        return f"No. {self.number} · {self.state.upper()}" + (f" · supersedes {self.supersedes}" if self.supersedes else "")


DRAFT = Mark()


@dataclass(frozen=True)
class Heading:
    """What identifies a document: equal headings, equal bytes."""

    scope: str  # a portfolio's or an entity's name, or all
    scope_of: str  # portfolio, entity or all
    as_of: datetime
    known_at: datetime
    close: str  # "Close of 31 Jan 2025 (UTC): all entries before 2025-02-01 00:00:00Z"
    publication: int
    software: str
    policies_sha256: str
    mark: Mark = DRAFT

    def facts(self) -> dict[str, object]:
        """As JSON, the manifest and the Parquet file carry them."""
        return {
            "number": self.mark.number,
            "state": self.mark.state,
            "supersedes": self.mark.supersedes,
            "scope": self.scope,
            "scope_of": self.scope_of,
            "as_of": self.as_of,
            "known_at": self.known_at,
            "close": self.close,
            "publication": self.publication,
            "software": self.software,
            "policies_sha256": self.policies_sha256,
            "method": METHOD,
            "rounding": ROUNDING,
        }


@dataclass(frozen=True)
class Difference:
    """What a revision changed: figures of both statements, line by line, and what is behind each change."""

    heading: Heading
    before: Mapping[str, object]  # what the manifest of the superseded one says of it
    lines: pl.DataFrame  # one per account and currency that changed
    totals: pl.DataFrame  # per entity and currency: old, new, what the lines say of the change, and what they do not
    causes: pl.DataFrame  # numbered, as the lines name them

    @property
    def rows(self) -> pl.DataFrame:
        """Exactly the columns of the CSV."""
        return self.lines


@dataclass(frozen=True)
class Completeness:
    """What was looked at behind a statement, and what speaks against it."""

    heading: Heading
    population: pl.DataFrame  # portfolios in scope
    not_configured: pl.DataFrame  # what exists at their venues and is in nobody's book
    live: pl.DataFrame  # what venues report beside the accounts
    accounts: pl.DataFrame  # one per row of the statement by portfolio
    exceptions: pl.DataFrame  # the inbox of this scope
    prices: pl.DataFrame  # one per asset, with the hours it needed
    reports: pl.DataFrame  # venues' own reports beside the book, counted
    checks: pl.DataFrame  # what the checks looked at and found
    suspense: int  # refused rows

    @property
    def rows(self) -> pl.DataFrame:
        """Exactly the columns of the CSV."""
        return self.accounts


@dataclass(frozen=True)
class Statement:
    """Balances and indicative values at one instant, by portfolio or by asset."""

    heading: Heading
    by: str
    accounts: pl.DataFrame  # lines by portfolio: the columns of the CSV, and `printed`, `minor_units`
    assets: pl.DataFrame  # lines by asset, likewise
    classes: Mapping[str, str]  # asset → fiat, stable or crypto
    totals: pl.DataFrame  # priced totals, exact and as printed
    subtotals: pl.DataFrame  # per entity, currency and price basis
    unpriced: pl.DataFrame  # what the totals leave out
    zero: pl.DataFrame  # accounts that hold nothing
    portfolios: pl.DataFrame  # venue, the venue's id, read through
    live: pl.DataFrame  # what venues report live beside the balance: holds, and what is not in the book
    prices: pl.DataFrame  # one row per asset, with the market behind it
    policies: pl.DataFrame
    controls: Mapping[str, int | str]  # counts to check a copy by
    history: pl.DataFrame  # value per closed day, entity and currency, for the chart
    in_transit: pl.DataFrame  # sent and not received: below the balances, in no portfolio
    adjusted: pl.DataFrame  # what people say accounts hold beside what their venues report: below the balances too
    second_totals: pl.DataFrame  # per entity and currency: the total, what stands below it, and all together
    difference: Difference | None = None  # from the one it supersedes

    @property
    def lines(self) -> pl.DataFrame:
        """What is printed line by line, `printed` beside `value`."""
        return self.accounts if self.by == "portfolio" else self.assets

    @property
    def rows(self) -> pl.DataFrame:
        """Exactly the columns of the CSV."""
        return self.lines.drop("printed", "minor_units")


@dataclass(frozen=True)
class RollForward:
    """What led from one instant to another, per account, and the value bridge between them."""

    heading: Heading
    since: datetime
    opened: str  # the words of the opening instant
    rows: pl.DataFrame  # opening + columns = closing
    issued: pl.DataFrame  # what the opening was issued as; empty where nothing was locked before
    prior: pl.DataFrame  # entries of earlier days that came to be known after their days were locked, or are no longer shown
    adjustments: pl.DataFrame  # what people say is held beside what venues report
    columns: tuple[str, ...]  # the movement columns of `rows`
    bridge: pl.DataFrame
    bridge_totals: pl.DataFrame
    own_transfers: pl.DataFrame
    annex: pl.DataFrame  # venue and event type → column
