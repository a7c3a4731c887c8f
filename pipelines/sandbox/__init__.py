"""The three venues on loopback, replaying a dataset. `serve` starts them, `generate` makes a dataset; nothing else is public."""
