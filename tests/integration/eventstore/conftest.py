"""An appender on the test's database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from service.db.guard import Guard
from service.db.pool import Database
from service.eventstore.appender import Appender


@pytest_asyncio.fixture
async def appender(database: Database, guard: Guard) -> AsyncIterator[Appender]:
    """Room for 10,000 requests, patient enough for any drill."""
    async with Appender(
        database, guard=guard, queue_size=10_000, deadline_s=60
    ) as started:
        yield started
