"""Pure Polars: frame in, frame out. No clock, no I/O, no Dagster; "now", "which days" and "known when" are arguments."""
