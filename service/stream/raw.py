"""Events as the log has them: of one chat, or of everybody, from a place on.

Each read begins with the event of the place itself, so it sees for itself that the log
still has the history that the client saw. No connection outlives a read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from service.db.pool import Connection, Pool
from service.domain.ids import CHAT
from service.eventstore import store
from service.eventstore.public import public_event
from service.eventstore.records import RecordedEvent, StreamName
from service.stream.bells import LOG
from service.stream.place import START, Kind, Place, place_of
from service.subscription.tail import HEAD

STREAM_HEAD = """
SELECT version, digest FROM es.events
WHERE category = %s AND stream_id = %s ORDER BY version DESC LIMIT 1
"""


class Item(NamedTuple):
    """One row of a feed, and the place after it."""

    place: Place
    name: str
    data: dict[str, Any] | None
    """None: nothing is shown, the place moves on."""


class StartOver(Exception):
    """The place is not in this history (any more); `place` is where to go on."""

    def __init__(self, reason: str, place: Place) -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = place


class Raw(ABC):
    """A feed of events; its pages never end inside an append."""

    kind: Kind

    def __init__(self, pool: Pool, bell: UUID) -> None:
        self._pool = pool
        self.bell = bell

    async def read(self, after: Place, limit: int) -> Sequence[Item]:
        """At least `limit` events after a place while there are. Raises StartOver."""
        known = 0 if after == START else 1
        async with self._pool.connection() as connection:
            events = await self._events(
                connection, max(after.number - known, 0), limit + known
            )
        if known:
            if not events:
                raise StartOver("ahead", START)
            if not after.is_at(self._number(events[0]), events[0].digest):
                raise StartOver("history", START)
        return [
            Item(place_of(self._number(e), e.digest), "event", public_event(e))
            for e in events[known:]
        ]

    @abstractmethod
    async def head(self) -> Place:
        """The place after the newest event."""

    @abstractmethod
    async def _events(
        self, connection: Connection, after: int, limit: int
    ) -> list[RecordedEvent]: ...

    @abstractmethod
    def _number(self, event: RecordedEvent) -> int: ...


class RawLog(Raw):
    """The whole log, by position."""

    kind: Kind = "l"

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool, LOG)

    async def head(self) -> Place:
        async with self._pool.connection() as connection:
            row = await (await connection.execute(HEAD)).fetchone()
        return START if row is None else place_of(*row)

    async def _events(
        self, connection: Connection, after: int, limit: int
    ) -> list[RecordedEvent]:
        return await store.read_log(connection, after, limit)

    def _number(self, event: RecordedEvent) -> int:
        return event.position


class RawChat(Raw):
    """One chat's stream, by version."""

    kind: Kind = "c"

    def __init__(self, pool: Pool, chat_id: UUID) -> None:
        super().__init__(pool, chat_id)
        self._stream = StreamName(CHAT, chat_id)

    async def head(self) -> Place:
        name = (self._stream.category, self._stream.stream_id)
        async with self._pool.connection() as connection:
            row = await (await connection.execute(STREAM_HEAD, name)).fetchone()
        return START if row is None else place_of(*row)

    async def _events(
        self, connection: Connection, after: int, limit: int
    ) -> list[RecordedEvent]:
        return await store.read_stream(connection, self._stream, after, limit)

    def _number(self, event: RecordedEvent) -> int:
        return event.version
