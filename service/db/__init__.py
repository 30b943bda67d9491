"""Connections, migrations and SQLSTATEs; knows no events."""
