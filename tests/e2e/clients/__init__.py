"""Clients that other people wrote, against a real service."""
