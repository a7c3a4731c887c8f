"""CryptoFuse: client asks, wire reads."""
