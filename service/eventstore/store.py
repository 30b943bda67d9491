"""The log's functions (schema es) from Python: one statement each, nothing else.

Knows rows and records; no batching, no retries, no transactions of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from service.db.pool import Connection
from service.eventstore.batch import EncodedRequest, encode_request, parameters
from service.eventstore.packing import Packed, PackedDumper
from service.eventstore.records import (
    SLICE,
    AppendRequest,
    RecordedEvent,
    StreamName,
    StreamResult,
)

PAGE = 500
"""Events a page; about 2 ms and 0.5 MB of typical events."""

APPEND = """
SELECT request, stream_id,
       outcome, first_version, last_version, last_position, digest
FROM es.append(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

EVENT_COLUMNS = sql.SQL(
    "position, category, stream_id, version, append_last,"
    " type, schema_version, data, metadata, recorded_at, digest"
)

READ_STREAM = sql.SQL("SELECT {} FROM es.read_stream(%s, %s, %s, %s)").format(
    EVENT_COLUMNS
)

READ_LOG = sql.SQL("SELECT {} FROM es.read_log(%s, %s, %s)").format(EVENT_COLUMNS)

FIND_REQUEST = """
SELECT request_hash, first_version, last_version FROM es.find_request(%s, %s, %s)
"""

Row = tuple[Any, ...]

Outcome = Literal["appended", "duplicate", "conflict", "key_reused", "purged"]


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """What became of one request of a batch; its streams in the request's order.

    After a conflict `last_version` is the stream's actual version, position and digest
    are those of that version, and `first_version` is 0.
    """

    outcome: Outcome
    streams: tuple[StreamResult, ...]


class EarlierRequest(NamedTuple):
    """The request that used a key first, and the versions of its events."""

    request_hash: bytes
    first_version: int
    last_version: int


async def append(
    connection: Connection, requests: Sequence[AppendRequest]
) -> list[RequestOutcome]:
    """Append a batch in one statement; one outcome per request, in order.

    Raises BadEvent before anything is sent, psycopg's errors after.
    """
    return await append_encoded(connection, [encode_request(r) for r in requests])


async def append_encoded(
    connection: Connection, batch: Sequence[EncodedRequest]
) -> list[RequestOutcome]:
    """Append requests that were checked and encoded before."""
    connection.adapters.register_dumper(Packed, PackedDumper)
    cursor = connection.cursor(binary=True)
    await cursor.execute(APPEND, parameters(batch), prepare=True)
    rows: list[list[Row]] = [[] for _ in batch]
    for row in await cursor.fetchall():
        rows[row[0] - 1].append(row)
    return [_outcome(e.request, r) for e, r in zip(batch, rows, strict=True)]


async def read_stream(
    connection: Connection,
    stream: StreamName,
    after_version: int = 0,
    limit: int = PAGE,
) -> list[RecordedEvent]:
    """Events after a version, ascending; ends at an append border, so maybe longer.

    Fewer than `limit` events: the stream has no more for now.
    """
    cursor = connection.cursor(binary=True)
    await cursor.execute(
        READ_STREAM, (stream.category, stream.stream_id, after_version, limit)
    )
    return await _events(cursor)


async def read_log(
    connection: Connection,
    after_position: int,
    limit: int = PAGE,
    with_data_of: Collection[UUID] | None = None,
) -> list[RecordedEvent]:
    """Events of all streams after a position, ascending; never ends inside an append.

    With `with_data_of` data and metadata come for those streams only.
    """
    wanted = None if with_data_of is None else list(with_data_of)
    cursor = connection.cursor(binary=True)
    await cursor.execute(READ_LOG, (after_position, limit, wanted))
    return await _events(cursor)


async def find_request(
    connection: Connection, stream: StreamName, key: str
) -> EarlierRequest | None:
    """The request that used this key on this stream, if any."""
    cursor = connection.cursor(binary=True)
    await cursor.execute(FIND_REQUEST, (stream.category, stream.stream_id, key))
    row = await cursor.fetchone()
    return None if row is None else EarlierRequest(*row)


def _outcome(request: AppendRequest, rows: list[Row]) -> RequestOutcome:
    if len(rows) > 1:
        places = {a.stream.stream_id: n for n, a in enumerate(request.streams)}
        rows.sort(key=lambda row: places[row[1]])
    results = []
    for append, row in zip(request.streams, rows, strict=True):
        first, last, position, digest = row[3:]
        results.append(
            StreamResult(append.stream, first or 0, last, position or 0, digest or b"")
        )
    return RequestOutcome(rows[0][2], tuple(results))


async def _events(cursor: psycopg.AsyncCursor[TupleRow]) -> list[RecordedEvent]:
    """The result; one of a long append keeps the loop waiting for a slice at most."""
    names: dict[UUID, StreamName] = {}
    events: list[RecordedEvent] = []
    while rows := await cursor.fetchmany(SLICE):
        for position, category, stream_id, *rest in rows:
            name = names.get(stream_id)
            if name is None:
                name = names[stream_id] = StreamName(category, stream_id)
            events.append(RecordedEvent(position, name, *rest))
        if len(rows) < SLICE:
            break
        await asyncio.sleep(0)
    return events
