"""What the commands about the log ask the database."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from service.cli.options import data_dir_of, read_settings, set_up_logs
from service.db.migrate import schema_state
from service.db.pool import Connection, connect
from service.db.source import Databases, open_database
from service.errors import SetupError
from service.eventstore.records import RecordedEvent, StreamName
from service.eventstore.store import PAGE, read_log, read_stream

VERIFY_CHUNK = 5_000
"""Positions that one statement checks: a tenth of a second, so that a bar moves."""

HEAD = "SELECT coalesce(max(position), 0) FROM es.events"

STREAM = """
SELECT category, version, position FROM es.events
WHERE stream_id = %s ORDER BY version DESC LIMIT 1
"""

POSITION_OF = """
SELECT position FROM es.events
WHERE stream_id = %s AND version = %s AND category = %s
"""

DIGEST = """
SELECT count(*), encode(sha256(coalesce(
  string_agg(h.digest, ''::bytea ORDER BY h.stream_id), '')), 'hex')
FROM (
  SELECT DISTINCT ON (e.stream_id) e.stream_id, e.digest
  FROM es.events AS e WHERE e.position <= %s
  ORDER BY e.stream_id, e.version DESC
) AS h
"""

VERIFY_STREAM = "SELECT position, version, problem FROM es.verify(%s, %s)"

VERIFY_LOG = """
SELECT position, category, stream_id, version, problem
FROM es.verify_positions(%s, %s)
"""


class Head(NamedTuple):
    """The last event of a stream."""

    stream: StreamName
    version: int
    position: int


class Problem(NamedTuple):
    """Something that an intact log does not have."""

    position: int
    stream: StreamName
    version: int
    problem: str


@asynccontextmanager
async def open_log(
    data_dir: Path | None,
) -> AsyncIterator[tuple[Connection, Databases]]:
    """A connection to the database of the settings, also while a service uses it."""
    settings = read_settings(data_dir=data_dir)
    set_up_logs(settings)
    async with open_database(
        settings, data_dir_of(settings), beside_service=True
    ) as databases:
        connection = await connect(databases.main, role=None, name="events")
        async with connection:
            if not (await schema_state(connection)).current:
                raise SetupError("the schema is not current; run `parley migrate`")
            yield connection, databases


async def head_position(connection: Connection) -> int:
    """The last position of the log; 0 when it is empty."""
    row = await (await connection.execute(HEAD)).fetchone()
    return 0 if row is None else int(row[0])


async def stream_head(connection: Connection, stream_id: UUID) -> Head:
    """Where a stream is. Raises SetupError when there is none."""
    row = await (await connection.execute(STREAM, (stream_id,))).fetchone()
    if row is None:
        raise SetupError(f"the log has no stream {stream_id}")
    category, version, position = row
    return Head(StreamName(category, stream_id), version, position)


async def position_of(
    connection: Connection, stream: StreamName, version: int
) -> int | None:
    """The position of an event, if the log has it."""
    cursor = await connection.execute(
        POSITION_OF, (stream.stream_id, version, stream.category)
    )
    row = await cursor.fetchone()
    return None if row is None else int(row[0])


async def log_after(
    connection: Connection, position: int
) -> AsyncGenerator[list[RecordedEvent], None]:
    """Pages of the log after a position, up to its end as it is then."""
    while page := await read_log(connection, position):
        yield page
        position = page[-1].position


async def stream_after(
    connection: Connection, stream: StreamName, version: int
) -> AsyncGenerator[list[RecordedEvent], None]:
    """Pages of a stream after a version, up to its end as it is then."""
    while page := await read_stream(connection, stream, version):
        yield page
        version = page[-1].version
        if len(page) < PAGE:
            return


async def heads_digest(connection: Connection, position: int) -> tuple[int, str]:
    """How many streams there were at a position, and the digest over all their heads.

    Heads are chained in the order of stream ids; the same log always gives the same.
    """
    row = await (await connection.execute(DIGEST, (position,))).fetchone()
    assert row is not None  # noqa: S101  an aggregate has one row
    return row[0], row[1]


async def verify_stream(connection: Connection, stream: StreamName) -> list[Problem]:
    """What is wrong with one stream."""
    cursor = await connection.execute(
        VERIFY_STREAM, (stream.category, stream.stream_id)
    )
    return [
        Problem(position, stream, version, problem)
        for position, version, problem in await cursor.fetchall()
    ]


async def verify_log(
    connection: Connection, first: int, last: int
) -> AsyncGenerator[tuple[int, list[Problem]], None]:
    """Check positions chunk by chunk: the position reached, and what is wrong there.

    Chunks overlap by an event, for what is between neighbours.
    """
    reached = first - 1
    while reached < last:
        chunk_end = min(reached + VERIFY_CHUNK, last)
        bounds = (max(reached, first), chunk_end)
        cursor = await connection.execute(VERIFY_LOG, bounds)
        yield (
            chunk_end,
            [
                Problem(position, StreamName(category, stream_id), version, problem)
                for position, category, stream_id, version, problem in (
                    await cursor.fetchall()
                )
                if position > reached
            ],
        )
        reached = chunk_end
