"""Pacifica: client asks, wire reads."""
