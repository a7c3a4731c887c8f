"""The one-page explainer of the method: words only. They say what the stages do; whoever changes those changes these."""

from __future__ import annotations

_TEXT = """
# As of
Every figure stands as of one instant, exclusively: an entry at that very microsecond is not in it. The close of 31 January in UTC
is the instant 2025-02-01 00:00:00Z.

# Balance
The account's opening plus every entry the venue recorded before the instant. Each entry carries the balance the venue reported
after it; where balance before + amount is not balance after, the account is marked CHAIN_BREAK and nothing is filled in. An
unbroken chain proves net change, not that every gross movement is present: two rows that cancel can be missing together. Pending
amounts stand beside the balance; they are neither valued nor totalled. Amounts on hold exist only live; they are printed with the
time the venue reported them.

# Price
Market prices are the sum of close × volume over the sum of volume, taken over the 1-hour candles of the asset's USD market on
Coinbase that start at or after 24 hours before the instant and end at or before it: 24 on the full hour. No later candle counts.
Fiat currencies are priced 1 in themselves (par). A fixed price exists only as a configured policy with an approver. Prices are
printed to ten significant digits; the exact ones stand in the other forms. Last vs VWAP compares the last close of the window
with the average, in hundredths of a percent.

# No price
Where there is no price there is a reason, and no number: never zero, one, cost or yesterday's price. Every total is a priced
subtotal, and the list of what it leaves out stands beside it.

# Totals
One total per currency and price basis; currencies are never converted into each other, and units of different assets are never
added. Values are exact to 18 decimals; in print they are rounded half-even to the currency's minor unit. A printed subtotal is
the rounded exact sum; where the printed lines do not add up to it, the difference is printed.

# What was known
A statement uses what had been recorded up to the instant it names, and nothing later. Asked for again with the same publication,
scope, instant and software it has the same bytes. The bundle of this statement holds every entry and candle behind it and a short
program that recomputes each figure without a network.

# Not proven
Ownership, encumbrance, the venue's solvency, gross movements where the venue gives no count, unrealised P&L, and fair value. Rely
on venue confirmations and SOC 1 reports for these. Cost basis, gains and losses are not computed.
"""

EXPLAINER = [(topic, " ".join(lines)) for topic, *lines in (part.splitlines() for part in _TEXT.strip("\n# ").split("\n\n# "))]
"""Topic and paragraph, in reading order."""
