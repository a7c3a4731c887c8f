"""What is sent and what is replied, in Coinbase's spelling, and what its API lacks beside it. No I/O, no clock."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Type = Literal["account", "balance", "fills", "otc-fills", "rfq-fills", "tax-invoice", "1099k-transaction-history"]
Form = Literal["pdf", "csv", "json", "xlsx", "parquet", "bundle"]
By = Literal["portfolio", "asset"]
Status = Literal["pending", "creating", "ready", "failed", "expired"]

_EMAIL = r"^([A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190})?$"
Text = Annotated[str, Field(max_length=100)]
Ignored = Annotated[Any, Field(description="Belongs to another type of report; ignored.")]


def _of_ascii(text: str | None) -> str | None:
    if text is not None and not text.isascii():
        raise ValueError("must be plain ASCII")
    return text


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)


class Balance(Shape):
    """Which instant, and how its rows are grouped."""

    moment: Text = Field("", alias="datetime", description="The exclusive instant, UTC; empty: now. A fraction of a second is cut off.")
    day: Text | None = Field(None, description="Instead of datetime: the end of this day, as 2025-01-31, in `calendar`.")
    calendar: Text | None = Field(None, description="Whose cut-off ends the day; default utc.")
    known_at: Text | None = Field(None, description="Only what was known at this instant; default all that is published.")
    group_by: By | None = Field(None, description="Rows per portfolio (default), or per asset over all portfolios.")
    group_by_profile: bool | None = Field(None, description="true: by portfolio, false: by asset.")
    group_by_portfolio_id: bool | None = Field(None, description="The same, as the documentation's prose spells it.")


class ReportRequest(Shape):
    """A body for Coinbase's `POST /reports` is one for ours."""

    type: Type
    format: Form = "pdf"
    email: Annotated[str | None, Field(max_length=254, pattern=_EMAIL), AfterValidator(_of_ascii)] = None
    profile_id: Text | None = Field(None, description="Default: the portfolio of the key, or all where the key opens all.")
    balance: Balance | None = Field(None, description="Required for type balance.")
    group_by_profile: bool | None = None
    year: Ignored = None
    account: Ignored = None
    fills: Ignored = None
    otc_fills: Annotated[Ignored, Field(alias="otc-fills")] = None
    rfq_fills: Annotated[Ignored, Field(alias="rfq-fills")] = None
    tax_invoice: Annotated[Ignored, Field(alias="tax-invoice")] = None


class Created(BaseModel):
    """The reply to an accepted request."""

    id: str
    type: Type
    status: Literal["pending"]


class Params(BaseModel):
    """What was asked, as it was understood."""

    format: Form
    profile_id: str | None = Field(description="null: all portfolios")
    email: str | None = Field(description="Shown to the key that gave it.")
    datetime: str
    group_by_profile: bool
    group_by: By
    calendar: str
    known_at: str | None
    start_date: None = None
    end_date: None = None
    product_id: None = None
    account_id: None = None
    new_york_state: bool = False
    user: dict[str, str] = {}


class Report(BaseModel):
    """One report on its way: pending → creating → ready or failed; a ready one expires."""

    id: str
    type: Type
    status: Status
    created_at: str
    completed_at: str | None
    expires_at: str
    file_url: str | None = Field(description="Fetched without headers, until expires_at.")
    file_count: str | None
    user_id: str
    reason: str | None = Field(description="Why it failed.")
    params: Params


class Problem(BaseModel):
    """Every refusal."""

    message: str
