"""The event log from Python."""
