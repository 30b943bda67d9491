"""Requests told shortly, and a head that a test holds so that appends must wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from service.db.pool import Connection, Database, connect
from service.eventstore import store
from service.eventstore.records import (
    ANY,
    AppendRequest,
    NewEvent,
    RecordedEvent,
    StreamAppend,
    StreamName,
)

PATIENCE_S = 30.0
"""How long a test waits for what must come."""

HASH = bytes(32)

APPENDERS = """
SELECT pid, wait_event_type FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'parley/appender%'
"""
TERMINATE_APPENDERS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'parley/appender%'
"""


def new_stream() -> StreamName:
    return StreamName("chat", uuid4())


def event(text: str = "hello", **data: Any) -> NewEvent:
    return NewEvent("said", 1, {"text": text, **data}, {"id": str(uuid4())})


def part(
    stream: StreamName,
    *events: NewEvent | str,
    expected: int = ANY,
    digest: bytes | None = None,
) -> StreamAppend:
    """What a request wants of one stream; plain words become events."""
    said = tuple(event(e) if isinstance(e, str) else e for e in events or ("hello",))
    return StreamAppend(stream, expected, said, digest)


def together(
    *parts: StreamAppend, key: str | None = None, request_hash: bytes = HASH
) -> AppendRequest:
    return AppendRequest(parts, key or f"test:{uuid4()}", request_hash)


def request(
    stream: StreamName,
    *events: NewEvent | str,
    expected: int = ANY,
    digest: bytes | None = None,
    key: str | None = None,
    request_hash: bytes = HASH,
) -> AppendRequest:
    """A request for one stream."""
    wanted = part(stream, *events, expected=expected, digest=digest)
    return together(wanted, key=key, request_hash=request_hash)


def words(events: Sequence[RecordedEvent]) -> list[str]:
    return [(e.data or {})["text"] for e in events]


@asynccontextmanager
async def opened(database: Database, name: str = "test") -> AsyncIterator[Connection]:
    """A connection of the test, with the rights of the service."""
    connection = await connect(database, role="service", name=name)
    async with connection:
        yield connection


async def whole_stream(database: Database, stream: StreamName) -> list[RecordedEvent]:
    async with opened(database) as connection:
        return await store.read_stream(connection, stream, 0, 1_000_000)


async def whole_log(database: Database) -> list[RecordedEvent]:
    async with opened(database) as connection:
        return await store.read_log(connection, 0, 1_000_000)


async def assert_intact(database: Database) -> None:
    """Positions 1..n, versions 1..n in each stream, digests as computed anew."""
    log = await whole_log(database)
    assert [e.position for e in log] == list(range(1, len(log) + 1))
    versions: dict[StreamName, int] = {}
    for recorded in log:
        assert recorded.version == versions.get(recorded.stream, 0) + 1
        versions[recorded.stream] = recorded.version
    async with await connect(database, role=None, name="verify") as connection:
        problems = await connection.execute(
            "SELECT * FROM es.verify_positions(1, %s)", (max(1, len(log)),)
        )
        assert await problems.fetchall() == []


class HeldHead:
    """The append lock, held by the test: every batch that is sent waits for it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def waiting(self, count: int = 1) -> None:
        """Return when that many of the appender's statements wait for the lock."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                # a transaction goes on seeing the activity that it saw first
                await self._connection.execute("SELECT pg_stat_clear_snapshot()")
                found = await self._connection.execute(APPENDERS)
                waits = [row[1] for row in await found.fetchall()]
                if waits.count("Lock") >= count:
                    return

    async def release(self) -> None:
        await self._connection.execute("ROLLBACK")


@asynccontextmanager
async def held_head(database: Database) -> AsyncIterator[HeldHead]:
    """Hold the append lock until `release`, or until the end of the block."""
    async with await connect(database, role=None, name="holder") as connection:
        await connection.execute("BEGIN")
        await connection.execute("SET idle_in_transaction_session_timeout = 0")
        await connection.execute("SELECT FROM es.head FOR UPDATE")
        yield HeldHead(connection)
        await connection.execute("ROLLBACK")


async def terminate_appenders(database: Database) -> int:
    """End the appender's backends, whatever they are doing; how many there were."""
    async with await connect(database, role=None, name="killer") as connection:
        found = await connection.execute(TERMINATE_APPENDERS)
        row = await found.fetchone()
        return 0 if row is None else int(row[0])
