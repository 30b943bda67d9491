"""Leases on a real database."""
