"""Whole turns on a real database."""
