"""Closebook: end-of-day balance snapshots you can prove. Start reading at `tables.py`."""

__version__ = "0.1.0"
