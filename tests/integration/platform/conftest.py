"""Connections with the rights of the service, and without limits; an operator."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.db.pool import Database
from tests.integration.platform.commands import Operator
from tests.sql.conftest import admin, open_as, service

__all__ = ["admin", "open_as", "operator", "service"]


@pytest.fixture
def operator(database: Database, tmp_path: Path) -> Operator:
    """With a secret key of its own."""
    return Operator(database, tmp_path / "data")
