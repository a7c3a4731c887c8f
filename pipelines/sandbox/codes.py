"""CryptoFuse's own codes, as far as any are published: what each stands for, in the venue's words. No rows."""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    """The venue writes token and blockchain in lower case."""

    token: str
    blockchain: str
    name: str
    stable: bool = False


CODES = {
    "BTC": Code("btc", "btc", "Bitcoin"),
    "ETH": Code("eth", "eth", "Ethereum"),
    "WETH": Code("weth", "eth", "Wrapped Ether"),
    "USDTERC20": Code("usdt", "eth", "Tether USD (ERC-20)", stable=True),
    "USDCERC20": Code("usdc", "eth", "USD Coin (ERC-20)", stable=True),
    "USDTTRC20": Code("usdt", "trx", "Tether USD (TRC-20)", stable=True),
    "USDTBSC": Code("usdt", "bsc", "Tether USD (BNB Smart Chain)", stable=True),
    "USDTPOLYGON": Code("usdt", "polygon", "Tether USD (Polygon)", stable=True),
    "USDTARB": Code("usdt", "arbitrum", "Tether USD (Arbitrum)", stable=True),
}
"""A code of the dataset that is not here is served in balances and history, and left out of the venue's map."""
