"""Who changes the tables of schema platform: every change is an event of the log.

Triggers write them down (sql/triggers/platform.rows__audit.sql); what they cannot know
is who asked. Whoever changes something enters `audited` first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.db.pool import Connection

PLATFORM = "platform"
"""The category of these events; one stream per row."""

SYSTEM = "system"
"""The actor of changes that nobody in particular made."""

ACT_AS = "SELECT set_config('parley.actor', %s, true)"


@asynccontextmanager
async def audited(connection: Connection, *, actor: str) -> AsyncIterator[None]:
    """A transaction whose changes this actor made; its commit appends their events."""
    async with connection.transaction():
        await connection.execute(ACT_AS, [actor])
        yield
