"""Batches for es.append as plain arrays, so that a test can also get them wrong."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from service.db.pool import Connection

ANY = -1

APPEND = """
SELECT request, outcome, category, stream_id, first_version, last_version,
  last_position, digest
FROM es.append(%s::int[], %s::text[], %s::uuid[], %s::int[], %s::bytea[], %s::text[],
  %s::bytea[], %s::int[], %s::text[], %s::smallint[], %s::jsonb[], %s::jsonb[])
"""


class Row(NamedTuple):
    """One row of es.append's answer."""

    request: int
    outcome: str
    category: str
    stream_id: UUID
    first_version: int | None
    last_version: int | None
    last_position: int | None
    digest: bytes | None


@dataclass
class Batch:
    """Collects (request, stream) entries with their events."""

    requests: list[int | None] = field(default_factory=list)
    categories: list[str | None] = field(default_factory=list)
    stream_ids: list[UUID | None] = field(default_factory=list)
    expected: list[int | None] = field(default_factory=list)
    expected_digests: list[bytes | None] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    request_hashes: list[bytes | None] = field(default_factory=list)
    event_streams: list[int | None] = field(default_factory=list)
    types: list[str | None] = field(default_factory=list)
    schema_versions: list[int | None] = field(default_factory=list)
    datas: list[Jsonb | None] = field(default_factory=list)
    metadatas: list[Jsonb | None] = field(default_factory=list)

    def add(
        self,
        stream: UUID,
        *events: str,
        request: int = 1,
        expected: int = ANY,
        digest: bytes | None = None,
        key: str | None = None,
        body: str = "",
        category: str = "chat",
        data: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Batch:
        """Append events of these types to a stream; gives the batch back."""
        self.requests.append(request)
        self.categories.append(category)
        self.stream_ids.append(stream)
        self.expected.append(expected)
        self.expected_digests.append(digest)
        self.keys.append(key or f"test:{uuid4()}")
        self.request_hashes.append(hashlib.sha256(body.encode()).digest())
        for event in events:
            self.event_streams.append(len(self.stream_ids))
            self.types.append(event)
            self.schema_versions.append(1)
            self.datas.append(Jsonb(data if data is not None else {"n": 1}))
            self.metadatas.append(Jsonb(metadata or {}))
        return self

    def arguments(self) -> list[Any]:
        """In the order of es.append's parameters."""
        return list(vars(self).values())

    async def append(self, connection: Connection) -> list[Row]:
        """Call es.append."""
        cursor = await connection.execute(APPEND, self.arguments())
        return [Row(*row) for row in await cursor.fetchall()]


async def append(connection: Connection, stream: UUID, *events: str, **how: Any) -> Row:
    """One request with one stream."""
    (row,) = await Batch().add(stream, *events, **how).append(connection)
    return row


async def positions(connection: Connection) -> list[int]:
    """Every position of the log that this connection sees, in the log's order."""
    cursor = await connection.execute("SELECT position FROM es.read_log(0, 100000)")
    return [row[0] for row in await cursor.fetchall()]


async def rows(connection: Connection, query: str, values: Any = None) -> list[Any]:
    """All rows of a query."""
    cursor = await connection.execute(query.encode(), values)
    return await cursor.fetchall()


async def value(connection: Connection, query: str, values: Any = None) -> Any:
    """The one value of a query."""
    ((found,),) = await rows(connection, query, values)
    return found
