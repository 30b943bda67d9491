"""Projections as pure functions."""
