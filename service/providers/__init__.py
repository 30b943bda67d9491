"""Models behind one protocol: an async iterator of typed deltas."""
