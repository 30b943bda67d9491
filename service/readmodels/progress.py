"""Waiting for read models to pass an event, without a connection and without polling.

A projector's commit rings; one read of the checkpoints then serves everybody who waits.
A newcomer rings too, so requests that come together share a read as well.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn
from uuid import UUID

import psycopg
import psycopg_pool

from service.db.pool import Connection, Pool
from service.subscription.wakeup import Wakeup

logger = logging.getLogger(__name__)

WAIT_S = 2.0
"""After this an answer may be stale; a projector that is alive needs milliseconds."""

MARKS = """
SELECT p.name, c.position, c.state, ARRAY(
  SELECT jsonb_build_array(k.stream_id, k.event_version)
  FROM ops.parked_streams AS k
  WHERE k.projection = c.projection AND k.version = c.version
    AND k.skipped IS NULL)
FROM ops.projections AS p
JOIN ops.checkpoints AS c
  ON c.projection = p.name AND c.version = p.active_version
"""

POSITION = """
SELECT position FROM es.events
WHERE category = 'chat' AND stream_id = %s AND version = %s
"""

HEAD = "SELECT coalesce(max(position), 0) FROM es.events"

SHOWN_VERSION = """
SELECT e.version FROM es.events AS e
WHERE e.category = 'chat' AND e.stream_id = %(chat)s AND e.position <= (
  SELECT min(c.position) FROM ops.projections AS p JOIN ops.checkpoints AS c
    ON c.projection = p.name AND c.version = p.active_version
  WHERE p.name = ANY (%(names)s))
AND NOT EXISTS (
  SELECT FROM ops.projections AS p JOIN ops.parked_streams AS k
    ON k.projection = p.name AND k.version = p.active_version
  WHERE p.name = ANY (%(names)s) AND k.stream_id = e.stream_id
    AND k.event_version <= e.version AND k.skipped IS NULL)
ORDER BY e.version DESC LIMIT 1
"""


class Target(NamedTuple):
    """The event that somebody has seen, and wants to find in a read model."""

    chat_id: UUID
    version: int
    position: int


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the active version of a read model is."""

    position: int
    stopped: bool
    parked: Mapping[UUID, int]
    """Streams that it stopped at -> the version from which on they are missing."""

    def has(self, target: Target) -> bool:
        """Whether the event is in the read model."""
        return self.position >= target.position and not self._parks(target)

    def stands(self, target: Target) -> bool:
        """Whether the event will not come, however long one waits."""
        return not self.has(target) and (self.stopped or self._parks(target))

    def _parks(self, target: Target) -> bool:
        parked = self.parked.get(target.chat_id)
        return parked is not None and parked <= target.version


class Progress:
    """The waiting requests of one process; `run` reads for all of them."""

    def __init__(self, pool: Pool, *, wait_s: float = WAIT_S) -> None:
        self._pool = pool
        self._wait_s = wait_s
        self._wakeup = Wakeup()
        self._waiting: set[_Waiter] = set()
        self.reads = 0
        self.read = asyncio.Event()
        """Set by each read; tests wait for it."""
        self.stale = 0

    @property
    def waiting(self) -> int:
        """Requests that wait now."""
        return len(self._waiting)

    def ring(self, _payload: str | None = None) -> None:
        """Read models moved, or may have."""
        if self._waiting:
            self._wakeup.ring()

    async def run(self) -> NoReturn:
        """Read whenever somebody rings while somebody waits; until cancelled."""
        while True:
            await self._wakeup.wait(self._wait_s)
            if not self._waiting:
                continue
            try:
                async with self._pool.connection() as connection:
                    marks = await read_marks(connection)
            except (psycopg.OperationalError, psycopg_pool.PoolTimeout) as error:
                logger.warning("no checkpoints read", extra={"reason": str(error)})
                continue
            self.reads += 1
            self.read.set()
            for waiter in self._waiting:
                waiter.look(marks)

    async def wait(self, names: Sequence[str], target: Target) -> Sequence[str]:
        """Wait until these read models have the event; the names of those without it.

        Returns at once when one of them stands still, and after `wait_s` whatever is.
        """
        self._pool.guard.check("waiting for a read model")
        waiter = _Waiter(names, target)
        self._waiting.add(waiter)
        self._wakeup.ring()
        try:
            async with asyncio.timeout(self._wait_s):
                await waiter.done.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(waiter)
        if waiter.missing:
            self.stale += 1
        return waiter.missing


class _Waiter:
    """One request: what it waits for, and what it last heard is missing."""

    def __init__(self, names: Sequence[str], target: Target) -> None:
        self._target = target
        self.missing = tuple(names)
        self._names = tuple(names)
        self.done = asyncio.Event()

    def look(self, marks: Mapping[str, Mark]) -> None:
        known = [(name, marks.get(name)) for name in self._names]
        self.missing = tuple(
            name for name, mark in known if mark is None or not mark.has(self._target)
        )
        stands = any(mark is None or mark.stands(self._target) for _, mark in known)
        if stands or not self.missing:
            self.done.set()


async def read_marks(connection: Connection) -> dict[str, Mark]:
    """Where every read model in use stands."""
    found = await connection.execute(MARKS)
    return {
        name: Mark(
            position,
            state == "stopped",
            {UUID(stream_id): version for stream_id, version in parked},
        )
        for name, position, state, parked in await found.fetchall()
    }


async def position_of(connection: Connection, chat_id: UUID, version: int) -> int:
    """The place of a chat's event in the log; the event must be there."""
    found = await connection.execute(POSITION, (chat_id, version))
    row = await found.fetchone()
    return 0 if row is None else int(row[0])


async def newest_position(connection: Connection) -> int:
    """The place of the log's last event; 0: there is none."""
    found = await connection.execute(HEAD)
    ((position,),) = await found.fetchall()
    return int(position)


async def shown_version(
    connection: Connection, chat_id: UUID, names: Sequence[str]
) -> int:
    """Up to which version of the chat these read models are; 0: nothing of it.

    Ask before reading them: what is read afterwards is at least as new.
    """
    found = await connection.execute(
        SHOWN_VERSION, {"chat": chat_id, "names": list(names)}
    )
    row = await found.fetchone()
    return 0 if row is None else int(row[0])
