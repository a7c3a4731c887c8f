"""How fast, measured: generated books, floors, peers, and the engine, in the same run. Not part of the package."""
