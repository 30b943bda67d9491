"""The event log from Python: append in batches, read, load and decide."""
