"""Empty read models on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from projections.registry import PROJECTIONS
from projections.tables import make_read_models
from service.db.pool import Connection, Database, connect


@pytest_asyncio.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    """A connection that may write and read all of them."""
    await make_read_models(database, PROJECTIONS)
    async with await connect(database, role=None, name="test") as opened:
        yield opened
