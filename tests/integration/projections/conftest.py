"""The world of a test: a log, and read models that are made but empty."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from projections.registry import PROJECTIONS
from projections.tables import make_read_models
from service.db.pool import Database, connect
from tests.integration.projections.world import World


@pytest_asyncio.fixture
async def world(database: Database) -> AsyncIterator[World]:
    """A log to append to."""
    await make_read_models(database, PROJECTIONS)
    async with (
        await connect(database, role="service", name="test") as writer,
        await connect(database, role=None, name="test") as admin,
    ):
        yield World(database, writer, admin)
