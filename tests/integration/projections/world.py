"""A log to append to, projectors that run on it, and what they left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

from projections.projection import Entry, Projection, Statement
from projections.registry import PROJECTIONS
from projections.runner import ProjectionRunner, Signals
from projections.tables import make_read_models
from service.db.pool import Connection, Database
from service.domain.events.chat import ChatEvent, MessageAppended
from service.domain.ids import CHAT
from service.domain.parts import TextPart
from service.eventstore import codec, store
from service.eventstore.records import (
    ANY,
    AppendRequest,
    NewEvent,
    StreamAppend,
    StreamName,
)
from service.subscription.wakeup import Wakeup

PATIENCE_S = 30
"""A projector that is not there by then will never be."""
NEVER_S = 3600.0
"""A poll interval that no test lives to see."""


@dataclass
class World:
    """One test's database, seen by a writer and by an administrator."""

    database: Database
    writer: Connection
    admin: Connection

    async def append(self, chat_id: UUID, *events: ChatEvent) -> None:
        """One append on a chat's stream."""
        await self.append_raw(chat_id, *[codec.encode(event, {}) for event in events])

    async def append_raw(
        self, stream_id: UUID, *events: NewEvent, category: str = CHAT
    ) -> None:
        """One append of events that may be of any shape."""
        stream = StreamAppend(StreamName(category, stream_id), ANY, events)
        request = AppendRequest((stream,), str(uuid4()), b"h" * 32)
        (done,) = await store.append(self.writer, [request])
        assert done.outcome == "appended"

    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query of the administrator finds."""
        found = await self.admin.execute(query, values)
        return await found.fetchall()

    async def execute(self, statement: str, *values: object) -> None:
        """Something that only an administrator may do."""
        await self.admin.execute(statement, values)

    async def head(self) -> int:
        ((head,),) = await self.rows("SELECT coalesce(max(position), 0) FROM es.events")
        return int(head)

    async def checkpoint(self, name: str) -> tuple[int, str, str | None]:
        """Position, state and error of the version that is furthest behind."""
        (row,) = await self.rows(
            "SELECT position, state, error FROM ops.checkpoints WHERE projection = %s"
            " ORDER BY position LIMIT 1",
            name,
        )
        return row[0], row[1], row[2]

    async def messages(self, chat_id: UUID) -> list[int]:
        """Ids of the chat's messages in the read model."""
        rows = await self.rows(
            "SELECT id FROM read.messages WHERE chat_id = %s ORDER BY id", chat_id
        )
        return [message_id for (message_id,) in rows]


@dataclass
class Projector:
    """A runner that runs as a task of the test."""

    runner: ProjectionRunner
    wakeup: Wakeup
    world: World
    names: Sequence[str]
    task: asyncio.Task[None]
    cycled: asyncio.Event

    async def catches_up(self) -> None:
        """Wait until every projection stands at the head, or has stopped."""
        await self.until(self._at_head)

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait for something to hold after a cycle; fails loudly when it never does."""
        async with asyncio.timeout(PATIENCE_S):
            while not await holds():
                await self.cycled.wait()
                self.cycled.clear()

    async def cycles(self, times: int = 1) -> None:
        """Wait for so many more cycles to end, each rung for."""
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(times):
                self.cycled.clear()
                self.wakeup.ring()
                await self.cycled.wait()

    async def _at_head(self) -> bool:
        head = await self.world.head()
        found = [await self.world.checkpoint(name) for name in self.names]
        return all(
            position == head or state == "stopped" for position, state, _ in found
        )


@asynccontextmanager
async def projecting(
    world: World,
    projections: Sequence[Projection] = PROJECTIONS,
    *,
    poll_interval_s: float = NEVER_S,
    batch_size: int = 500,
    applied: Callable[[Sequence[str]], Awaitable[None]] | None = None,
) -> AsyncIterator[Projector]:
    """Run a projector on the test's database."""
    cycled, wakeup = asyncio.Event(), Wakeup()
    signals = Signals(cycled=cycled.set)
    if applied is not None:
        signals = replace(signals, applied=applied)
    runner = ProjectionRunner(
        world.database,
        projections,
        wakeup,
        poll_interval_s=poll_interval_s,
        batch_size=batch_size,
        signals=signals,
    )
    task: asyncio.Task[None] = asyncio.create_task(runner.run(), name="projector")
    names = [projection.name for projection in projections]
    try:
        yield Projector(runner, wakeup, world, names, task, cycled)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@dataclass
class Poison:
    """A projection that cannot take messages with a certain text, while it is `on`."""

    of: Projection
    text: str = "poison"
    on: bool = True
    projection: Projection = field(init=False)

    def __post_init__(self) -> None:
        self.projection = replace(self.of, project=self._project)

    def _project(self, entries: Sequence[Entry]) -> list[Statement]:
        for entry in entries:
            if self.on and self._spoils(entry.event):
                raise KeyError(self.text)
        return self.of.project(entries)

    def _spoils(self, event: ChatEvent) -> bool:
        return isinstance(event, MessageAppended) and any(
            isinstance(part, TextPart) and part.text == self.text
            for part in event.parts
        )


COUNTER = Projection(
    name="counter",
    version=1,
    types=frozenset({"message_appended"}),
    tables={"counter": "one"},
    project=lambda entries: [
        Statement(
            "UPDATE read.counter__v{v} AS c SET n = c.n + u.n"
            " FROM json_to_recordset(%s) AS u (n int)",
            [{"n": len(entries)}],
        )
    ],
    per_stream=False,
    sql="""
CREATE TABLE IF NOT EXISTS read.counter__v{v} (
  one int NOT NULL DEFAULT 1, n int NOT NULL,
  CONSTRAINT counter__v{v}__one__pkey PRIMARY KEY (one));
INSERT INTO read.counter__v{v} (n) VALUES (0) ON CONFLICT DO NOTHING;
-- [view]
DROP VIEW IF EXISTS read.counter;
CREATE VIEW read.counter AS SELECT n FROM read.counter__v{v};
""",
)
"""Counts messages over all streams; a batch applied twice would show."""


async def make_counter(world: World) -> None:
    """Its tables, and the one row that it counts in."""
    await make_read_models(world.database, [COUNTER])


async def count(world: World) -> int:
    """What COUNTER has counted."""
    ((number,),) = await world.rows("SELECT n FROM read.counter")
    return int(number)
