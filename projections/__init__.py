"""Parley: the read side; events in, read models out."""
