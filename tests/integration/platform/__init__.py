"""Providers, models, settings: rows, secrets, and what the log hears of them."""
