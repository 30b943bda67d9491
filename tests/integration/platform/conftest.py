"""Connections with the rights of the service, and without limits."""

from __future__ import annotations

from tests.sql.conftest import admin, open_as, service

__all__ = ["admin", "open_as", "service"]
