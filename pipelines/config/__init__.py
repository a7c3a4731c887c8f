"""closebook.toml + environment → plain frozen objects. The environment is read nowhere else.

Every number another file would call a setting has its default here. No venue, no table, no clock.
"""

from pipelines.config.books import Asset, Book, Calendar, Opening, Policy, Rates, Statements
from pipelines.config.file import Config, Environment, load
from pipelines.config.kinds import EARLIEST, LATEST
from pipelines.config.people import Alerts, Mail, Reports
from pipelines.config.secrets import is_loopback, reveal
from pipelines.config.venues import BalanceReport, CoinbasePortfolio, CryptofusePortfolio, PacificaPortfolio, Portfolio, Prices, Pulling

__all__ = [
    "EARLIEST", "LATEST", "Alerts", "Asset", "BalanceReport", "Book", "Calendar", "CoinbasePortfolio", "Config", "CryptofusePortfolio",
    "Environment", "Mail", "Opening", "PacificaPortfolio", "Policy", "Portfolio", "Prices", "Pulling", "Rates", "Reports", "Statements",
    "is_loopback", "load", "reveal",
]  # fmt: skip
