"""The right to run a chat: rows of ops.leases, taken by compare-and-set.

A lease expires by the database's clock; its holder counts on its own monotonic clock
from before the statement that confirmed it, so the holder always gives up first. What
makes a late holder harmless is not this table (a crash empties it) but the term: it is
higher than any that the chat's log has seen, and the log refuses lower ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from service.db.pool import Connection, Database, connect
from service.errors import Conflict, DatabaseAway

STATEMENT_TIMEOUT_S = 10.0
"""Statements here take milliseconds; one silent for so long has lost its connection."""

ACQUIRE = """
INSERT INTO ops.leases AS l (chat_id, worker, term, lease_time)
VALUES (%(chat)s, %(worker)s, %(floor)s + 1, %(lease)s * interval '1 second')
ON CONFLICT (chat_id) DO UPDATE SET
  worker = EXCLUDED.worker,
  term = greatest(l.term + 1, EXCLUDED.term),
  heartbeat_at = clock_timestamp(),
  lease_time = EXCLUDED.lease_time
WHERE l.worker = EXCLUDED.worker OR l.heartbeat_at NOT BETWEEN
  clock_timestamp() - %(lease)s * interval '1 second'
  AND clock_timestamp() + %(lease)s * interval '1 second'
RETURNING term
"""
"""A heartbeat far in the future was made by a clock that has since been set back.

A row of this same worker is one whose answer was lost: a worker asks for a chat only
while it does not run it. The lease time in the row is for people; workers go by theirs.
"""

RENEW = """
UPDATE ops.leases AS l
SET heartbeat_at = clock_timestamp()
FROM unnest(%s::uuid[], %s::bigint[]) AS mine (chat_id, term)
WHERE l.chat_id = mine.chat_id AND l.term = mine.term AND l.worker = %s
RETURNING l.chat_id
"""

RELEASE = """
DELETE FROM ops.leases AS l
USING unnest(%s::uuid[], %s::bigint[]) AS mine (chat_id, term)
WHERE l.chat_id = mine.chat_id AND l.term = mine.term AND l.worker = %s
"""

LOOK = """
SELECT min(r.seconds) FILTER (WHERE l.worker <> %s),
  coalesce(array_agg(DISTINCT l.worker), ARRAY[]::text[])
FROM ops.leases AS l, LATERAL (
  SELECT %s - abs(extract(epoch FROM clock_timestamp() - l.heartbeat_at))::float8
) AS r (seconds)
WHERE r.seconds > 0
"""


@dataclass(frozen=True, slots=True)
class Around:
    """What the table says of all workers together."""

    expiry_s: float | None
    """Until the next lease of another worker runs out unless renewed."""
    workers: frozenset[str]
    """Those that hold a lease which has not run out."""


class LeaseLost(Conflict):
    """The lease ran out, or another worker has it; drop the work."""


@dataclass(eq=False, slots=True)
class Lease:
    """One chat's lease. `renewed_at` is a reading of the loop's clock."""

    chat_id: UUID
    worker: str
    term: int
    renewed_at: float


class Leases:
    """The leases of one worker, over one connection of its own; lazily opened.

    Every method raises DatabaseAway when the database does not answer, also not on a
    second try over a new connection.
    """

    def __init__(self, database: Database, *, worker: str, lease_s: float) -> None:
        self._database = database
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()
        self.worker = worker
        self.lease_s = lease_s
        self.asked = 0
        """Times that a lease was asked for; how many were had, others count."""

    async def __aenter__(self) -> Leases:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._disconnect()

    async def acquire(self, chat_id: UUID, *, floor: int) -> Lease | None:
        """Take an absent or expired lease, with a term above `floor`; else None."""
        asked_at = _monotonic()
        self.asked += 1
        values = {
            "chat": chat_id,
            "worker": self.worker,
            "floor": floor,
            "lease": self.lease_s,
        }
        rows = await self._rows(ACQUIRE, values)
        return Lease(chat_id, self.worker, rows[0][0], asked_at) if rows else None

    async def renew(self, leases: Sequence[Lease]) -> list[Lease]:
        """Heartbeat: renew all in one statement; gives those that are lost."""
        asked_at = _monotonic()
        rows = await self._rows(RENEW, self._arrays(leases))
        kept = {row[0] for row in rows}
        for lease in leases:
            if lease.chat_id in kept:
                lease.renewed_at = asked_at
        return [lease for lease in leases if lease.chat_id not in kept]

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give up what is still ours; others' leases stay."""
        await self._rows(RELEASE, self._arrays(leases))

    async def look(self) -> Around:
        """Who else is there."""
        ((expiry_s, workers),) = await self._rows(LOOK, (self.worker, self.lease_s))
        return Around(expiry_s, frozenset(workers))

    def _arrays(self, leases: Sequence[Lease]) -> tuple[Any, ...]:
        return (
            [lease.chat_id for lease in leases],
            [lease.term for lease in leases],
            self.worker,
        )

    async def _rows(self, query: str, values: Any) -> list[tuple[Any, ...]]:
        async with self._lock:
            try:
                return await self._attempt(query, values)
            except DatabaseAway:
                # an idle connection that was cut is no outage: once more, afresh
                return await self._attempt(query, values)

    async def _attempt(self, query: str, values: Any) -> list[tuple[Any, ...]]:
        try:
            async with asyncio.timeout(STATEMENT_TIMEOUT_S):
                if self._connection is None:
                    self._connection = await connect(
                        self._database, role="service", name="leases"
                    )
                cursor = await self._connection.execute(query, values)
                return await cursor.fetchall() if cursor.description else []
        except (psycopg.OperationalError, psycopg.InterfaceError, OSError) as error:
            await self._disconnect()
            raise DatabaseAway(f"leases: {error}") from error

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
