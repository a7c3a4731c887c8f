"""The contract of every table: columns, types, key, one sentence each. Start reading here.

DuckDB types, shape checks, the UI's column lists and docs derive from these declarations; what fills a table
and what reads it do not belong here. A frame enters the warehouse through `conform`, or not at all.
Instants are UTC microseconds; quantities, prices and values are Decimal(38, 18).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from pipelines.errors import ContractError

MONEY = pl.Decimal(38, 18)
INSTANT = pl.Datetime("us", "UTC")
TEXT = pl.String()
INT = pl.Int32()
LONG = pl.Int64()
DAY = pl.Date()
FLAG = pl.Boolean()

_SQL = {MONEY: "DECIMAL(38,18)", INSTANT: "TIMESTAMPTZ", TEXT: "VARCHAR", INT: "INTEGER", LONG: "BIGINT", DAY: "DATE", FLAG: "BOOLEAN"}

VENUES = ("coinbase", "cryptofuse", "pacifica")
CLASSES = ("fiat", "stable", "crypto", "unknown")
OPENING_KINDS = ("INCEPTION", "ASSERTED", "DERIVED_FIRST_POSTING", "DERIVED_LIVE", "UNKNOWN")
STATEMENT_STATES = ("draft", "preliminary", "final", "superseded")
STATUSES = ("COMPLETE", "STALE", "EXCEPTION", "NOT_TESTED")
METHOD = "VWAP_24H"
METHODS = (METHOD, "LAST_CLOSE", "TWAP_24H", "DAY_CLOSE")
PRICE_BASES = ("PAR", *METHODS, "FIXED_POLICY", "ALIAS_POLICY")
BOUND_STATUSES = ("WITHIN", "BREACHED", "BOUND_NOT_TESTED")
REASONS = (
    "EXCLUDED_BY_POLICY",
    "UNMAPPED_ASSET",
    "NO_USD_PAIR",
    "NOT_YET_LISTED",
    "DELISTED",
    "TRADING_SUSPENDED",
    "NOT_FETCHED",
    "NO_CANDLES",
    "ZERO_VOLUME",
    "OUT_OF_RANGE",
)


@dataclass(frozen=True)
class Column:
    """One column: its type, whether it may be null, the values it may take, one sentence."""

    name: str
    dtype: pl.DataType
    sentence: str
    null: bool = False
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table: what a row is, its key, its columns. `may_be_empty` says when no row at all is right."""

    name: str
    sentence: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    may_be_empty: str = ""

    @property
    def schema(self) -> pl.Schema:
        return pl.Schema({c.name: c.dtype for c in self.columns})

    def empty(self) -> pl.DataFrame:
        return pl.DataFrame(schema=self.schema)

    def frame(self, rows: Iterable[Mapping[str, object]]) -> pl.DataFrame:
        """Rows as dicts → conformed frame; a column left out is null."""
        return self.conform(pl.DataFrame(list(rows), schema=self.schema, strict=True))

    def conform(self, frame: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
        """Exactly these columns, types and order, nothing null that must not be; else an error naming the difference."""
        got = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
        self._same_columns(got)
        got = got.select(self.schema.names())
        wrong = [f"{n} is {got.schema[n]}, not {t}" for n, t in self.schema.items() if got.schema[n] != t]
        wrong += [f"{c.name} has {n} nulls" for c in self.columns if not c.null and (n := got[c.name].null_count())]
        if wrong:
            raise ContractError(f"A frame does not fit {self.name}: {'; '.join(wrong)}.")
        return got

    def _same_columns(self, got: pl.DataFrame) -> None:
        missing = [n for n in self.schema if n not in got.columns]
        extra = [n for n in got.columns if n not in self.schema]
        if missing or extra:
            raise ContractError(f"A frame does not fit {self.name}: missing {missing}, not expected {extra}.")

    def sql_type(self, column: str) -> str:
        return _SQL[self.schema[column]]

    def ddl(self) -> str:
        columns = ", ".join(f'"{c.name}" {self.sql_type(c.name)}{"" if c.null else " NOT NULL"}' for c in self.columns)
        return f'CREATE TABLE IF NOT EXISTS "{self.name}" ({columns})'


def _recorded(null: bool = False) -> Column:
    return Column("recorded_at", INSTANT, "when this was committed to the warehouse", null=null)


_RETIRED = Column("retired_at", INSTANT, "when a re-read no longer showed it", null=True)
_ACCOUNT = Column("account_id", INT, "the account, as in accounts")
_CALENDAR = Column("calendar", TEXT, "the named time zone and cut-off, as in calendars")
_DAY = Column("day", DAY, "the day's label: it ends at the cut-off on this date")
_AS_OF = Column("as_of", INSTANT, "the exclusive instant of the cut-off")

PORTFOLIOS = Table(
    "portfolios",
    "A configured portfolio: what one key opens.",
    ("portfolio",),
    (
        Column("portfolio", TEXT, "its configured name"),
        Column("entity", TEXT, "whose books these are"),
        Column("venue", TEXT, "the place that holds the balances", values=VENUES),
        Column("venue_id", TEXT, "the venue's own id, bound at the first pull", null=True),
        Column("owner", TEXT, "who is to resolve its issues", null=True),
        _recorded(),
    ),
)
ACCOUNTS = Table(
    "accounts",
    "A portfolio × the venue's own currency code.",
    ("account_id",),
    (
        _ACCOUNT,
        Column("portfolio", TEXT, "the portfolio it belongs to"),
        Column("native_code", TEXT, "the venue's own code, as in USDTERC20"),
        Column("venue_account_id", TEXT, "the venue's own account id, where it has one", null=True),
        Column("asset", TEXT, "the asset the code is mapped to; null when nothing maps it", null=True),
        Column("network", TEXT, "the network the code names, where it names one", null=True),
        Column("asset_class", TEXT, "fiat, stable, crypto or unknown", values=CLASSES),
        _recorded(),
    ),
)
OPENINGS = Table(
    "openings",
    "An account's balance at its first instant, by version; the version in force at K is the newest recorded up to K.",
    ("account_id", "recorded_at"),
    (
        _ACCOUNT,
        Column("kind", TEXT, "where the amount comes from", values=OPENING_KINDS),
        Column("amount", MONEY, "units held at the opening instant; null when unknown", null=True),
        Column("pending_amount", MONEY, "units pending at the opening instant, where the venue reports them", null=True),
        Column("opened_at", INSTANT, "the first instant the account is in the book; 1970 where it was so since ever"),
        Column("document", TEXT, "the document behind an asserted opening", null=True),
        _recorded(),
    ),
    may_be_empty="no account has been read yet",
)
PULLS = Table(
    "pulls",
    "A watermark: up to which instant an account, a product or the whole book was read, by version.",
    ("kind", "portfolio", "subject", "recorded_at"),
    (
        Column("kind", TEXT, "what was read; WHOLE: from its beginning", values=("ACCOUNT", "WHOLE", "PRODUCT", "BOOK")),
        Column("portfolio", TEXT, "the portfolio; empty for products and the book"),
        Column("subject", TEXT, "the account's native code or the product's id; empty for the book and for all accounts of a portfolio"),
        Column("read_through", INSTANT, "everything before this instant has been read"),
        Column("asked_at", INSTANT, "when the venue was asked"),
        Column("batch", TEXT, "the archived batch of pages behind it"),
        _recorded(),
    ),
)
PAGES = Table(
    "pages",
    "An archived reply page; its body lies in the archive under its hash.",
    ("batch", "position"),
    (
        Column("batch", TEXT, "the archive file that holds it"),
        Column("position", INT, "its place in the batch"),
        Column("venue", TEXT, "who replied", values=VENUES),
        Column("portfolio", TEXT, "for whom; empty for public data"),
        Column("endpoint", TEXT, "what was asked, by name"),
        Column("request", TEXT, "method and path with query, without secrets"),
        Column("fetched_at", INSTANT, "when the reply was complete"),
        Column("sha256", TEXT, "of the body as archived"),
        _recorded(),
    ),
)
POSTINGS = Table(
    "postings",
    "One balance event, by version.",
    ("account_id", "occurred_at", "position", "recorded_at"),
    (
        _ACCOUNT,
        Column("occurred_at", INSTANT, "when it happened, as the venue says"),
        Column("position", INT, "orders rows of one account that share an instant"),
        Column("event_id", TEXT, "the venue's own id, where it has one", null=True),
        Column("event_type", TEXT, "the venue's own word"),
        Column("amount", MONEY, "signed change of the balance"),
        Column("balance_after", MONEY, "the balance the venue reported after it"),
        Column("pending_after", MONEY, "the pending balance the venue reported after it", null=True),
        Column("pending_amount", MONEY, "signed change of the pending balance, where the venue reports one", null=True),
        _recorded(),
        _RETIRED,
        Column("page_sha256", TEXT, "the page it was read from"),
    ),
    may_be_empty="no account has had an event yet",
)
SUSPENSE = Table(
    "suspense",
    "A row that was refused, verbatim, with the reason.",
    ("portfolio", "page_sha256", "position", "row"),
    (
        Column("venue", TEXT, "who sent it", values=VENUES),
        Column("portfolio", TEXT, "for whom; empty for public data"),
        Column("native_code", TEXT, "the venue's code, where the row says", null=True),
        Column("reason", TEXT, "why it was refused"),
        Column("row", TEXT, "the row as the venue sent it"),
        Column("page_sha256", TEXT, "the page it stands on"),
        Column("position", INT, "its place on the page, from 0"),
        _recorded(),
    ),
    may_be_empty="nothing was refused",
)
CHAIN_BREAKS = Table(
    "chain_breaks",
    "One place where the chain fails, or where it holds in more than one order, by version.",
    ("account_id", "kind", "until", "until_position", "recorded_at"),
    (
        _ACCOUNT,
        Column("kind", TEXT, "what fails: the balance, the pending balance, or only the order", values=("BALANCE", "PENDING", "ORDER")),
        Column("since", INSTANT, "the posting before, or the opening"),
        Column("since_position", INT, "its position; -1 for the opening"),
        Column("until", INSTANT, "the posting after"),
        Column("until_position", INT, "its position"),
        Column("stood", MONEY, "where the posting before left it", null=True),
        Column("moved", MONEY, "what the posting after moved", null=True),
        Column("reported", MONEY, "what the venue reported after that", null=True),
        Column("missing", MONEY, "reported - stood - moved: what nothing explains; 0 where only the order is open"),
        _recorded(),
        _RETIRED,
    ),
    may_be_empty="every chain holds, in one order",
)
TIE_OUTS = Table(
    "tie_outs",
    "A figure of the venue's own beside ours, by version.",
    ("portfolio", "native_code", "kind", "recorded_at"),
    (
        Column("portfolio", TEXT, "whose"),
        Column("native_code", TEXT, "of which account; empty for all of the portfolio"),
        Column("kind", TEXT, "the live balance, what is pending, or how many entries there are", values=("BALANCE", "PENDING", "ENTRIES")),
        Column("theirs", MONEY, "what the venue says; of main account and sub-accounts together where the history ties out with both"),
        Column("ours", MONEY, "what our postings say", null=True),
        Column("outcome", TEXT, "EXPLAINED: an event on the way explains the difference", values=("AGREES", "EXPLAINED", "DIFFERS")),
        Column("asked_at", INSTANT, "when the venue was asked"),
        _recorded(),
    ),
    may_be_empty="no venue gave a figure of its own",
)
COMPLETENESS = Table(
    "completeness",
    "What was proved of an account, by interval of as-of and by version; what lies beyond the watermark is not spoken of.",
    ("account_id", "since", "recorded_at"),
    (
        _ACCOUNT,
        Column("since", INSTANT, "every as-of after this"),
        Column("until", INSTANT, "up to and with this; null: it has not ended", null=True),
        Column("balance_status", TEXT, "what was proved of the balance the venue reported", values=STATUSES),
        Column("movements_status", TEXT, "what was proved of all movements up to the as-of", values=STATUSES),
        Column("reasons", TEXT, "why, in words joined by ;", null=True),
        _recorded(),
        _RETIRED,
    ),
    may_be_empty="no account has been read yet",
)
TRANSFERS = Table(
    "transfers",
    "What moved between own portfolios of an entity, or was converted; matched with what is known now, whenever it moved.",
    ("kind", "sent_by", "sent_at", "sent_position", "received_by", "received_at", "received_position"),
    (
        Column("kind", TEXT, "what it is", values=("TRANSFER", "CONVERSION")),
        Column("entity", TEXT, "whose portfolios these are"),
        Column("asset", TEXT, "what was sent"),
        Column("sent_by", INT, "the account it left; null: that leg is not seen", null=True),
        Column("sent_at", INSTANT, "when it left", null=True),
        Column("sent_position", INT, "the posting's position", null=True),
        Column("sent", MONEY, "how much", null=True),
        Column("received_by", INT, "the account it reached; null: that leg is not seen", null=True),
        Column("received_at", INSTANT, "when it arrived", null=True),
        Column("received_position", INT, "the posting's position", null=True),
        Column("received", MONEY, "how much", null=True),
        Column("fee", MONEY, "sent - received", null=True),
    ),
    may_be_empty="nothing moved between own portfolios",
)
CANDLES = Table(
    "candles",
    "One 1-hour candle of a product, by version.",
    ("product_id", "start", "recorded_at"),
    (
        Column("product_id", TEXT, "the product, as in BTC-USD"),
        Column("start", INSTANT, "the start of the hour"),
        Column("low", MONEY, "lowest price"),
        Column("high", MONEY, "highest price"),
        Column("open", MONEY, "first price"),
        Column("close", MONEY, "last price"),
        Column("volume", MONEY, "traded volume in the base currency"),
        _recorded(),
        _RETIRED,
    ),
    may_be_empty="no asset that was held has a market",
)
CANDLE_COVERAGE = Table(
    "candle_coverage",
    "An interval of a product's hours that was asked for and answered.",
    ("product_id", "since", "until", "recorded_at"),
    (
        Column("product_id", TEXT, "the product"),
        Column("since", INSTANT, "start of the first hour asked for"),
        Column("until", INSTANT, "end of the last hour asked for, exclusive"),
        Column("asked_at", INSTANT, "when it was asked"),
        Column("final", FLAG, "every hour was closed, beyond the finality lag, when asked"),
        _recorded(),
    ),
    may_be_empty="no asset that was held has a market",
)
PRODUCTS = Table(
    "products",
    "A market of the price venue, by version; the version in force at K is the newest recorded up to K.",
    ("product_id", "recorded_at"),
    (
        Column("product_id", TEXT, "as in BTC-USD"),
        Column("base", TEXT, "the asset that is priced"),
        Column("quote", TEXT, "the currency it is priced in"),
        Column("status", TEXT, "online, offline, internal or delisted"),
        Column("trading_disabled", FLAG, "trading is switched off"),
        _recorded(),
    ),
    may_be_empty="the price venue was never reached",
)
VENUE_CODES = Table(
    "venue_codes",
    "What a venue says one of its own codes means.",
    ("venue", "native_code"),
    (
        Column("venue", TEXT, "who says so", values=VENUES),
        Column("native_code", TEXT, "its own code"),
        Column("asset", TEXT, "the asset it stands for"),
        Column("network", TEXT, "the network it lives on", null=True),
    ),
    may_be_empty="no venue publishes a map of its codes",
)
VENUE_PORTFOLIOS = Table(
    "venue_portfolios",
    "What exists at a venue, as a configured portfolio's key shows it, by version; it may be in nobody's book.",
    ("seen_by", "venue_id", "recorded_at"),
    (
        Column("venue", TEXT, "where it is", values=VENUES),
        Column("seen_by", TEXT, "the portfolio whose key shows it"),
        Column("venue_id", TEXT, "the venue's own id"),
        Column("name", TEXT, "what its owner calls it there"),
        _recorded(),
        Column("retired_at", INSTANT, "when it was no longer shown so", null=True),
    ),
    may_be_empty="no venue told what else there is",
)
VENUE_BALANCES = Table(
    "venue_balances",
    "A live balance as the venue reported it.",
    ("portfolio", "native_code", "scope", "asked_at"),
    (
        Column("portfolio", TEXT, "the portfolio asked for"),
        Column("native_code", TEXT, "the venue's own code"),
        Column(
            "scope",
            TEXT,
            "account is in the book, sub_accounts where the history ties out with them; the others are held beside it",
            values=("account", "sub_accounts", "spot", "hold", "pending", "equity", "position"),
        ),
        Column("amount", MONEY, "units held"),
        Column("asked_at", INSTANT, "when the reply was complete"),
        _recorded(),
    ),
    may_be_empty="no key may read live balances",
)
CALENDARS = Table(
    "calendars",
    "A named time zone and cut-off.",
    ("calendar",),
    (
        _CALENDAR,
        Column("timezone", TEXT, "IANA name"),
        Column("cut_off", TEXT, "local time a day ends, HH:MM; 00:00 is the 24:00 of the day"),
    ),
)
POLICIES = Table(
    "policies",
    "A configured rule that prices, or refuses to price, what the market does not, by version.",
    ("name", "recorded_at"),
    (
        Column("name", TEXT, "what it is called"),
        Column("asset", TEXT, "the asset it speaks of"),
        Column("exclude", FLAG, "true: the asset is not priced at all"),
        Column("price", MONEY, "fiat per unit", null=True),
        Column("currency", TEXT, "the currency of the price", null=True),
        Column("bound", MONEY, "how far the market may lie from the price", null=True),
        Column("same_as", TEXT, "the asset whose price it takes", null=True),
        Column("since", INSTANT, "first as-of it applies to", null=True),
        Column("until", INSTANT, "first as-of it no longer applies to", null=True),
        Column("approver", TEXT, "who answers for it"),
        Column("recorded_at", INSTANT, "when the configuration first said so"),
        Column("retired_at", INSTANT, "when the configuration no longer said so", null=True),
    ),
    may_be_empty="no policy is configured",
)
PAST_LABELS = Table(
    "past_labels",
    "What an account's code was mapped to until its label changed.",
    ("account_id", "retired_at"),
    (
        _ACCOUNT,
        Column("asset", TEXT, "as in accounts", null=True),
        Column("network", TEXT, "as in accounts", null=True),
        Column("asset_class", TEXT, "as in accounts", values=CLASSES),
        Column("retired_at", INSTANT, "when the label changed"),
    ),
    may_be_empty="no label was ever changed",
)
TOLERANCES = Table(
    "tolerances",
    "What the configuration calls too far apart.",
    ("name",),
    (
        Column("name", TEXT, "of what: method_spread_bps, or materiality and a currency"),
        Column("most", MONEY, "the most that is not worth a word"),
    ),
    may_be_empty="no configuration was read yet",
)
CLOSED_DAYS = Table(
    "closed_days",
    "A day that was closed.",
    ("calendar", "day"),
    (
        _CALENDAR,
        _DAY,
        _AS_OF,
        Column("recorded_at", INSTANT, "when it was first closed"),
        Column("touched_at", INSTANT, "when rows of it were last written"),
    ),
)
DAILY_BALANCES = Table(
    "daily_balances",
    "The balance of an account at the end of a day.",
    ("calendar", "day", "account_id"),
    (
        _CALENDAR,
        _DAY,
        _ACCOUNT,
        _AS_OF,
        Column("balance", MONEY, "opening plus every posting before as_of; null when the opening is unknown", null=True),
        Column("reported_balance", MONEY, "the last balance the venue reported before as_of", null=True),
        Column("pending_balance", MONEY, "seen but not credited; neither valued nor totalled", null=True),
        Column("last_event_at", INSTANT, "the last posting before as_of", null=True),
        Column("read_through", INSTANT, "the account is read up to here, at most as_of", null=True),
        Column("balance_status", TEXT, "what was proved of the balance", values=STATUSES),
        Column("movements_status", TEXT, "what was proved of the movements", values=STATUSES),
        Column("status_reasons", TEXT, "why, in words joined by ;", null=True),
    ),
)
DAILY_PRICES = Table(
    "daily_prices",
    "The price of an asset at the end of a day.",
    ("calendar", "day", "asset", "method"),
    (
        _CALENDAR,
        _DAY,
        Column("asset", TEXT, "the asset; codes that nothing maps have no row here"),
        Column("method", TEXT, "how market prices are made; values rest on VWAP_24H, the others stand beside it", values=METHODS),
        _AS_OF,
        Column("price", MONEY, "fiat per unit", null=True),
        Column("price_basis", TEXT, "what the price rests on", null=True, values=PRICE_BASES),
        Column("currency", TEXT, "the currency of the price", null=True),
        Column("reason", TEXT, "why there is no price", null=True, values=REASONS),
        Column("candle_count", INT, "candles in the 24 hours before as_of", null=True),
        Column("volume", MONEY, "their volume", null=True),
        Column("first_start", INSTANT, "start of the first of them", null=True),
        Column("last_end", INSTANT, "end of the last of them", null=True),
        Column("evidence", TEXT, "sha256 over their start, close and volume", null=True),
        Column("spread_bps", LONG, "1/10000 that a method lies from VWAP_24H, or the market from a fixed price", null=True),
        Column("bound_status", TEXT, "whether the market is within the bound of a fixed price", null=True, values=BOUND_STATUSES),
    ),
    may_be_empty="nothing that is held is mapped to an asset",
)
DAILY_VALUES = Table(
    "daily_values",
    "The indicative value of an account at the end of a day.",
    ("calendar", "day", "account_id"),
    (
        _CALENDAR,
        _DAY,
        _ACCOUNT,
        _AS_OF,
        Column("balance", MONEY, "as in daily_balances", null=True),
        Column("price", MONEY, "as in daily_prices", null=True),
        Column("price_basis", TEXT, "as in daily_prices", null=True, values=PRICE_BASES),
        Column("currency", TEXT, "the currency of price and value", null=True),
        Column("value", MONEY, "balance × price, half-even to 18 places", null=True),
        Column("reason", TEXT, "why there is no price", null=True, values=REASONS),
    ),
)
RATES = Table(
    "rates",
    "What one unit of a currency was in the reporting currency on a date, as an imported table has it, by version.",
    ("currency", "rate_date", "recorded_at"),
    (
        Column("currency", TEXT, "the currency that is converted"),
        Column("reporting_currency", TEXT, "the currency it is told in"),
        Column("rate_date", DAY, "the date the rate is of"),
        Column("rate", MONEY, "units of the reporting currency for one of the other"),
        Column("document", TEXT, "whose rates they are"),
        Column("known_from", INSTANT, "from when on it counts"),
        Column("last_day", DAY, "the last day it may be used for"),
        Column("sha256", TEXT, "of the file it was read from"),
        _recorded(),
        Column("retired_at", INSTANT, "when the file no longer had it", null=True),
    ),
    may_be_empty="no reporting currency is configured",
)
DAILY_RATES = Table(
    "daily_rates",
    "The rate at which a currency is told in the reporting currency at the end of a day; totals never mix the two.",
    ("calendar", "day", "currency"),
    (
        _CALENDAR,
        _DAY,
        _AS_OF,
        Column("currency", TEXT, "the currency of prices and values"),
        Column("reporting_currency", TEXT, "the currency they are also told in"),
        Column("rate", MONEY, "units of the reporting currency for one of the other", null=True),
        Column("rate_date", DAY, "the date the rate is of: of a weekend, an earlier one", null=True),
        Column("source", TEXT, "whose rate it is; PAR: the same currency", null=True),
        Column("reason", TEXT, "why there is no rate", null=True, values=("NO_RATE", "RATE_TOO_OLD")),
    ),
    may_be_empty="no reporting currency is configured",
)
DECISIONS = Table(
    "decisions",
    "A decision of a person's, as the journal has it.",
    ("record",),
    (
        Column("record", TEXT, "its name in the journal"),
        Column("kind", TEXT, "what was decided", values=("LOCK", "REOPEN", "ACCEPTANCE", "ASSIGNMENT", "DISPOSITION")),
        Column("decided_by", TEXT, "who answers for it"),
        Column("reason", TEXT, "why"),
        Column("subject", TEXT, "the issue or post-close item it speaks of", null=True),
        Column("owner", TEXT, "who is to resolve it from now on", null=True),
        Column("calendar", TEXT, "whose days it speaks of", null=True),
        Column("first", DAY, "the first day that is locked", null=True),
        Column("day", DAY, "the last day that is locked, or the first that is open again", null=True),
        Column("known_at", INSTANT, "what is locked: the book as known at this instant", null=True),
        Column("recorded_at", INSTANT, "when it was recorded in the journal"),
    ),
    may_be_empty="nobody has decided anything yet",
)
POST_CLOSE_ITEMS = Table(
    "post_close_items",
    "What a locked day would show of one account if it were not locked: the newest locked day on which it differs, and its exact effect.",
    ("calendar", "item"),
    (
        Column("item", TEXT, "what `carry` takes; an effect that changes is another item"),
        Column("calendar", TEXT, "whose days"),
        Column("locked_day", DAY, "the newest locked day on which it differs"),
        Column("portfolio", TEXT, "whose"),
        Column("native_code", TEXT, "of which account"),
        Column("balance", MONEY, "as locked", null=True),
        Column("balance_now", MONEY, "as known now", null=True),
        Column("balance_change", MONEY, "the one less the other"),
        Column("price", MONEY, "as locked", null=True),
        Column("price_now", MONEY, "as known now", null=True),
        Column("value", MONEY, "as locked", null=True),
        Column("value_now", MONEY, "as known now", null=True),
        Column("value_change", MONEY, "the one less the other"),
        Column("currency", TEXT, "of the value as locked", null=True),
        Column("currency_now", TEXT, "of the value as known now", null=True),
        Column("carried_by", TEXT, "who carried it into the open period; null: nobody decided yet", null=True),
        _recorded(),
    ),
    may_be_empty="no day is locked, or nothing came to be known of locked days",
)
STATEMENTS = Table(
    "statements",
    "One issued statement, as the journal has it; its bytes lie in the journal under their hash.",
    ("number",),
    (
        Column("number", TEXT, "as in ACME-2025-01/1: whose, of when, and which version"),
        Column(
            "state",
            TEXT,
            "final: of a locked day; preliminary: of a closed one; draft: of any other instant; superseded: a later version was issued",
            values=STATEMENT_STATES,
        ),
        Column("scope_of", TEXT, "whose it is", values=("entity", "portfolio", "all")),
        Column("scope", TEXT, "the name of whose it is"),
        Column("calendar", TEXT, "whose cut-off ends the day"),
        Column("as_of", INSTANT, "the exclusive instant"),
        Column("since", INSTANT, "where its roll-forward begins", null=True),
        Column("grouping", TEXT, "how its lines are grouped", values=("portfolio", "asset")),
        Column("publication_id", LONG, "what it was told from"),
        Column("known_at", INSTANT, "whose knowledge it has"),
        Column("policies_sha256", TEXT, "the policies it knew"),
        Column("software", TEXT, "the version that made it"),
        Column("issued_by", TEXT, "who issued it"),
        Column("reason", TEXT, "why, where that was said", null=True),
        Column("supersedes", TEXT, "the number it takes the place of", null=True),
        Column("manifest_sha256", TEXT, "of what is in it"),
        Column("envelope_sha256", TEXT, "of what is around it"),
        Column("previous", TEXT, "the envelope of the scope's previous statement", null=True),
        Column("bundle_sha256", TEXT, "of the stored .zip"),
        Column("pdf_sha256", TEXT, "of the stored PDF"),
        Column("issued_at", INSTANT, "when"),
    ),
    may_be_empty="nothing was issued yet",
)
ADJUSTMENTS = Table(
    "adjustments",
    "What people say an account holds beside what its venue reports; in no balance, and no proof of a venue sees it.",
    ("record",),
    (
        Column("record", TEXT, "its name in the journal"),
        Column("portfolio", TEXT, "whose"),
        Column("native_code", TEXT, "of which account"),
        Column("occurred_at", INSTANT, "from when on it counts"),
        Column("event_type", TEXT, "its type, which no venue has", values=("adjustment",)),
        Column("amount", MONEY, "signed: what is added to the venue's balance"),
        Column("author", TEXT, "who made it"),
        Column("approver", TEXT, "who approved it, another person"),
        Column("reason", TEXT, "why"),
        Column("document", TEXT, "what it rests on"),
        Column("recorded_at", INSTANT, "when it was recorded in the journal"),
    ),
    may_be_empty="nobody has adjusted anything",
)
DIRTY = Table(
    "dirty",
    "Closed days of an account or asset that must be closed again: those with since < as_of < until.",
    ("kind", "subject", "since", "recorded_at"),
    (
        Column("kind", TEXT, "what changed", values=("ACCOUNT", "ASSET")),
        Column("subject", TEXT, "account_id or asset"),
        Column("since", INSTANT, "days whose as_of is after this"),
        Column("until", INSTANT, "days whose as_of is before this; null: no end", null=True),
        Column("cause", TEXT, "why"),
        _recorded(),
    ),
    may_be_empty="nothing waits to be closed again",
)
PUBLICATIONS = Table(
    "publications",
    "A checked file people query; in a published file exactly one row, its own.",
    ("publication_id",),
    (
        Column("publication_id", LONG, "its number"),
        Column("known_through", INSTANT, "the newest recorded_at it knows"),
        Column("built_at", INSTANT, "when it was built"),
        Column("software", TEXT, "the version that built it"),
        Column("book_start", DAY, "the first day to close"),
        Column("book_end", DAY, "the first day not to close", null=True),
    ),
)
COMMITS = Table(
    "commits",
    "One write to the warehouse; its instants only ever increase.",
    ("recorded_at",),
    (
        _recorded(),
        Column("what", TEXT, "what was written"),
        Column("changed", LONG, "rows of facts or days that differ from before; 0: nothing worth publishing"),
    ),
)
CHECK_RESULTS = Table(
    "check_results",
    "What a check looked at and found.",
    ("publication_id", "rule"),
    (
        Column("publication_id", LONG, "the candidate that was checked"),
        Column("rule", TEXT, "the check"),
        Column("weight", TEXT, "what a violation does", values=("BLOCK", "QUALIFY", "INFO")),
        Column("looked_at", LONG, "rows looked at"),
        Column("violations", LONG, "rows found"),
        Column("passed", FLAG, "nothing was found, and the check itself worked"),
        Column("message", TEXT, "what happened to the check itself, where something did", null=True),
        Column("since", INSTANT, "it looked at what was written after this; null: at everything", null=True),
        Column("through", INSTANT, "the newest recorded_at that the candidate knew"),
        _recorded(),
    ),
    may_be_empty="the first candidate carries no results yet",
)

TABLES = {
    t.name: t
    for t in (
        PUBLICATIONS, PORTFOLIOS, ACCOUNTS, PAST_LABELS, CALENDARS, POLICIES, TOLERANCES, OPENINGS, PULLS, PAGES, POSTINGS,
        CHAIN_BREAKS, TIE_OUTS, COMPLETENESS, TRANSFERS,
        SUSPENSE, VENUE_CODES, VENUE_PORTFOLIOS, VENUE_BALANCES, PRODUCTS, CANDLES, CANDLE_COVERAGE, CLOSED_DAYS,
        DAILY_BALANCES, DAILY_PRICES, DAILY_VALUES, RATES, DAILY_RATES, DECISIONS, ADJUSTMENTS, POST_CLOSE_ITEMS,
        STATEMENTS, DIRTY, COMMITS, CHECK_RESULTS,
    )
}  # fmt: skip
"""Every table by name, in the order a reader meets them."""
