"""Writes the live parts of all running chats of a worker, in as few commits as help.

One flush at a time, on a connection of its own: at once when idle, else when the last
one is back, at least 4 ms apart. The statement commits asynchronously, for nothing in
it must last. An unacknowledged flush is repeated row for row. After a lost connection
every open episode is written again from its first row, for the table is UNLOGGED: a
Postgres that crashed comes back with it empty. Rows that are there already stay.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from uuid import UUID

import psycopg

from service.db.pool import Connection, Database, connect
from service.live.episode import EPISODE_BYTES, Episode

logger = logging.getLogger(__name__)

GAP_S = 0.004
"""Between two flushes: 250 commits a second; a person sees no difference below."""

FLUSH_BYTES = 1024 * 1024
"""Of one statement; more waits for the next."""

FLUSH_TIMEOUT_S = 10.0
"""A flush takes a millisecond; a connection that is silent for so long is gone."""

BACKOFF_S = (0.1, 2.0)

INSERT = """
WITH unsafe AS (SELECT set_config('synchronous_commit', 'off', true))
INSERT INTO es.live_parts (chat_id, epoch, attempt, seq, data)
SELECT p.chat_id, p.epoch, p.attempt, p.seq, p.data
FROM unnest(%s::uuid[], %s::int[], %s::int[], %s::int[], %s::jsonb[])
  AS p (chat_id, epoch, attempt, seq, data), unsafe
ON CONFLICT DO NOTHING
"""
"""set_config(..., true) is SET LOCAL: it ends with this statement's transaction."""


@dataclass(slots=True)
class _Slice:
    """Rows of one episode in a flush, and who waits for them."""

    episode: Episode
    first: int
    rows: list[str]
    waiters: list[asyncio.Future[None]]


class PartWriter:
    """Where one attempt puts what it says. Nothing here blocks but `drain`."""

    def __init__(self, flusher: Flusher, episode: Episode) -> None:
        self._flusher = flusher
        self._episode = episode

    @property
    def dropped(self) -> int:
        """Parts beyond the episode's bytes."""
        return self._episode.dropped

    def write(self, part: Mapping[str, Any], *, role: str = "assistant") -> None:
        """Say one part or delta; after `close` it is ignored."""
        self._flusher._add(self._episode, role, part)

    async def drain(self) -> None:
        """Wait until the table holds all that was written, also after a crash of it."""
        await self._flusher._drain(self._episode)

    def close(self) -> None:
        """The episode is over: what has not been written need not be."""
        self._flusher._close(self._episode)


class Flusher:
    """One per worker process; an async context manager."""

    def __init__(
        self, database: Database, *, episode_bytes: int = EPISODE_BYTES
    ) -> None:
        self._database = database
        self._episode_bytes = episode_bytes
        self._connection: Connection | None = None
        self._open: dict[Episode, list[asyncio.Future[None]]] = {}
        self._dirty: dict[Episode, None] = {}
        self._wake = asyncio.Event()
        self._failures = 0
        self._task: asyncio.Task[NoReturn] | None = None
        self.parts = 0
        """Parts that were said to open episodes, since the start."""
        self.dropped = 0
        """Parts that found no room, or that the database refused, since the start."""
        self.flushes = 0
        """Statements that the database acknowledged."""

    async def __aenter__(self) -> Flusher:
        self._task = asyncio.create_task(self._run(), name="flusher")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        for episode in list(self._open):
            self._close(episode)
        await self._disconnect()

    @property
    def active(self) -> int:
        """Open episodes."""
        return len(self._open)

    @property
    def largest_bytes(self) -> int:
        """Of JSON in the largest open episode."""
        return max((episode.size for episode in self._open), default=0)

    def open(self, chat_id: UUID, epoch: int, attempt: int) -> PartWriter:
        """Begin an episode. Only the worker that started the attempt may."""
        episode = Episode(chat_id, epoch, attempt, capacity=self._episode_bytes)
        self._open[episode] = []
        return PartWriter(self, episode)

    def _add(self, episode: Episode, role: str, part: Mapping[str, Any]) -> None:
        if episode not in self._open:
            return
        self.parts += 1
        dropped = episode.dropped
        episode.add(role, part)
        self.dropped += episode.dropped - dropped
        self._mark(episode)

    def _mark(self, episode: Episode) -> None:
        self._dirty[episode] = None
        self._wake.set()

    async def _drain(self, episode: Episode) -> None:
        waiters = self._open.get(episode)
        if waiters is None:
            return
        # also with nothing to write: the flush finds out whether the table is alive
        done = asyncio.get_running_loop().create_future()
        waiters.append(done)
        self._mark(episode)
        await done

    def _close(self, episode: Episode) -> None:
        self._dirty.pop(episode, None)
        _release(self._open.pop(episode, []))

    async def _run(self) -> NoReturn:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            earliest = loop.time() + GAP_S
            slices = self._build()
            pause = await self._flush(slices) if slices else 0.0
            await asyncio.sleep(max(pause, earliest - loop.time()))

    def _build(self) -> list[_Slice]:
        slices: list[_Slice] = []
        room = FLUSH_BYTES
        while self._dirty and room > 0:
            episode = next(iter(self._dirty))
            del self._dirty[episode]
            first, rows = episode.unacknowledged(max_bytes=room)
            room -= sum(map(len, rows))
            slices.append(_Slice(episode, first, rows, list(self._open[episode])))
        if self._dirty:
            self._wake.set()
        return slices

    async def _flush(self, slices: list[_Slice]) -> float:
        """Write the slices; gives the seconds to pause before the next flush."""
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_S):
                await self._write(slices)
        except psycopg.DataError as error:
            await self._flush_apart(slices, error)
        except Exception as error:
            # whatever it was: a new connection, and everything once more
            return await self._lost(error)
        else:
            self._acknowledge(slices)
        self._failures = 0
        return 0.0

    async def _write(self, slices: list[_Slice]) -> None:
        if self._connection is None:
            self._connection = await connect(
                self._database, role="service", name="live"
            )
        numbered = [
            (s.episode, seq, row)
            for s in slices
            for seq, row in enumerate(s.rows, s.first)
        ]
        columns = (
            [episode.chat_id for episode, _, _ in numbered],
            [episode.epoch for episode, _, _ in numbered],
            [episode.attempt for episode, _, _ in numbered],
            [seq for _, seq, _ in numbered],
            [row for _, _, row in numbered],
        )
        await self._connection.execute(INSERT, columns)

    def _acknowledge(self, slices: list[_Slice]) -> None:
        self.flushes += 1
        for done in slices:
            episode = done.episode
            episode.acknowledge(done.first, len(done.rows))
            waiters = self._open.get(episode)
            if waiters is None:
                continue
            if not episode.clean:
                self._mark(episode)
            elif done.waiters:
                self._open[episode] = [w for w in waiters if w not in done.waiters]
                _release(done.waiters)

    async def _flush_apart(
        self, slices: list[_Slice], error: psycopg.DataError
    ) -> None:
        """Some row is no value for jsonb: its episode ends, the others go on."""
        if len(slices) > 1:
            for one in slices:
                await self._flush([one])
            return
        episode = slices[0].episode
        self.dropped += len(slices[0].rows)
        self._close(episode)
        logger.error(
            "the database refuses a live part; this preview ends here",
            extra={"chat_id": str(episode.chat_id), "sqlstate": error.sqlstate},
        )

    async def _lost(self, error: Exception) -> float:
        logger.warning("live parts cannot be written", extra={"reason": str(error)})
        await self._disconnect()
        for episode in self._open:
            episode.start_over()
            self._mark(episode)
        first, longest = BACKOFF_S
        pause = min(longest, first * 2.0**self._failures)
        self._failures += 1
        return pause * random.uniform(0.5, 1.5)

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _release(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
