"""python recompute.py FOLDER recomputes every price and value of an unpacked bundle from its evidence, and says which differ.

Short, so that who trusts nobody reads all of it: `verify.py` proves the hashes, balances, totals and movements too.
"""

import csv
import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path

HOUR, PLACES, LIMIT = timedelta(hours=1), Decimal("1e-18"), Decimal("1e18")
Price = tuple[str, str, str]  # what it rests on, of what, in which currency


def read(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return [{name: text.removeprefix("'") for name, text in row.items()} for row in csv.DictReader(lines)]


def prices(evidence: Path, as_of: datetime) -> dict[Price, Decimal]:
    """Σ(close · volume) ÷ Σ volume over the 24 hours before; 1 for a currency; what a policy in force says."""
    turnover, volume = dict[str, Decimal](), dict[str, Decimal]()
    for c in read(evidence / "candles.csv"):
        if as_of - 24 * HOUR <= datetime.fromisoformat(c["start"]) <= as_of - HOUR:
            traded = (Decimal(c["close"]) * Decimal(c["volume"])).quantize(PLACES)
            turnover[c["asset"]] = turnover.get(c["asset"], Decimal()) + traded
            volume[c["asset"]] = volume.get(c["asset"], Decimal()) + Decimal(c["volume"])
    found = {("VWAP_24H", a, "USD"): (turnover[a] / v).quantize(PLACES) for a, v in volume.items() if v}
    found |= {("PAR", c, c): Decimal(1) for c in ("USD", "EUR", "GBP")}
    in_force = [p for p in read(evidence / "policies.csv") if holds(p, as_of)]
    found |= {("FIXED_POLICY", p["asset"], p["currency"]): Decimal(p["price"]) for p in in_force if p["price"]}
    for p in in_force:
        found |= {("ALIAS_POLICY", p["asset"], c): x for (_, a, c), x in list(found.items()) if a == p["same_as"]}
    return found


def holds(policy: dict[str, str], as_of: datetime) -> bool:
    since, until = (datetime.fromisoformat(policy[name]) if policy[name] else None for name in ("since", "until"))
    return (since is None or since <= as_of) and (until is None or as_of < until)


def differences(bundle: Path) -> Iterator[str]:
    with localcontext(prec=90, rounding=ROUND_HALF_EVEN):
        priced = prices(bundle / "evidence", datetime.fromisoformat(json.loads((bundle / "statement.json").read_bytes())["as_of"]))
        for row in read(bundle / "by_portfolio.csv"):
            price = priced.get((row["price_basis"], row["asset"], row["currency"]))
            if row["price"] and (price is None or Decimal(row["price"]) != price):
                yield f"price of {row['portfolio']} {row['native_code']}: {row['price']}, not {price}"
            value = (Decimal(row["balance"]) * price).quantize(PLACES) if row["balance"] and price is not None else None
            if (Decimal(row["value"]) if row["value"] else None) != (value if value is None or abs(value) < LIMIT else None):
                yield f"value of {row['portfolio']} {row['native_code']}: {row['value']}, not {value}"


if __name__ == "__main__":
    sys.exit("\n".join(differences(Path(sys.argv[1]))) or None)
