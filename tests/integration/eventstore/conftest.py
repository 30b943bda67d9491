"""An appender on the test's database, and chats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from service.db.guard import Guard
from service.db.pool import Database, Pool
from service.eventstore.appender import Appender
from service.eventstore.handle import Chats
from tests.integration.eventstore.replicas import CACHE_BYTES


@pytest_asyncio.fixture
async def appender(database: Database, guard: Guard) -> AsyncIterator[Appender]:
    """Room for 10,000 requests, patient enough for any drill."""
    async with Appender(
        database, guard=guard, queue_size=10_000, deadline_s=60
    ) as started:
        yield started


@pytest.fixture
def chats(pool: Pool, appender: Appender) -> Chats:
    """The process that most of a test happens in."""
    return Chats(pool, appender, cache_bytes=CACHE_BYTES)


@pytest.fixture
def chat_id() -> UUID:
    """A chat that does not exist yet."""
    return uuid4()
