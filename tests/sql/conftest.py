"""Connections of this ring: as the administrator, and as each role."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest_asyncio

from service.db.pool import Connection, Database, connect

Open = Callable[..., Awaitable[Connection]]
"""`await open_as("service")`: a new autocommit connection; None: the administrator."""


@pytest_asyncio.fixture
async def open_as(database: Database) -> AsyncIterator[Open]:
    """Opens connections that are closed with the test."""
    async with AsyncExitStack() as stack:

        async def open_connection(role: str | None = "service") -> Connection:
            connection = await connect(database, role=role, name="test")
            stack.push_async_callback(connection.close)
            return connection

        yield open_connection


@pytest_asyncio.fixture
async def service(open_as: Open) -> Connection:
    """A connection with the rights of the API and the workers."""
    return await open_as("service")


@pytest_asyncio.fixture
async def admin(open_as: Open) -> Connection:
    """A connection that may do anything, as far as triggers let it."""
    return await open_as(None)
