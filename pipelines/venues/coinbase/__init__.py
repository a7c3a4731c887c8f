"""Coinbase: client asks, wire reads."""
