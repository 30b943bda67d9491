"""The tail of a process: reads the log after its position, whenever somebody rings.

One pass reads live parts first and the log after them, and delivers the log first: so
the event that opened an episode is always known before a part of it. Consumers get
every event's head in order; `data` for the streams that they follow, and maybe others.

The tail keeps (position, digest). When the log holds another digest there, this is
another history (a restore, a failover that lost commits): caches and rings must go.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import NoReturn
from uuid import UUID

import psycopg

from service.db.pool import Connection, Database, connect
from service.eventstore import store
from service.eventstore.records import RecordedEvent
from service.subscription.wakeup import Wakeup

logger = logging.getLogger(__name__)

PAGE = 1_000
"""Events a read: some 2 ms of Python between two looks at the event loop."""
NAMED = 256
"""Streams whose data are asked for by name. Postgres compares each event with every
name: 5 ms a read for 1,000, 40 ms for 5,000. Beyond, the data of all cost less."""
BACKOFF_S = (0.1, 2.0)

DIGEST_AT = "SELECT digest FROM es.events WHERE position = %s"
HEAD = "SELECT position, digest FROM es.events ORDER BY position DESC LIMIT 1"

OnEvents = Callable[[Sequence[RecordedEvent]], None]
ReadParts = Callable[[Connection], Awaitable[Callable[[], None]]]
"""Reads live parts and returns how to deliver them, once the log was delivered."""


class Tail:
    """Reads for the whole process on a connection of its own."""

    def __init__(self, database: Database, *, poll_interval_s: float) -> None:
        self._database = database
        self._poll_interval_s = poll_interval_s
        self._wakeup = Wakeup()
        self._live_rung = False
        self._consumers: list[OnEvents] = []
        self._resets: list[Callable[[], None]] = []
        self._stales: list[Callable[[bool], None]] = []
        self._followed: Callable[[], Collection[UUID]] = tuple
        self._read_parts: ReadParts | None = None
        self._digest = b""
        self.position = 0
        self.started = asyncio.Event()
        self.passes = 0

    def subscribe(self, consumer: OnEvents) -> None:
        """Call `consumer` with each page of events; before `run` starts."""
        self._consumers.append(consumer)

    def follow(
        self, followed: Callable[[], Collection[UUID]], read_parts: ReadParts
    ) -> None:
        """Say which streams' data are wanted, and how to read their live parts."""
        self._followed = followed
        self._read_parts = read_parts

    def on_reset(self, callback: Callable[[], None]) -> None:
        """Call back when the log turns out to have another history."""
        self._resets.append(callback)

    def on_stale(self, callback: Callable[[bool], None]) -> None:
        """Call back with True when the database went away, False when it is back."""
        self._stales.append(callback)

    def ring_log(self, _payload: str | None) -> None:
        """The log moved, or may have."""
        self._wakeup.ring()

    def ring_live(self, _payload: str | None) -> None:
        """Live parts arrived, or may have."""
        self._live_rung = True
        self._wakeup.ring()

    async def run(self) -> NoReturn:
        """Read for ever; a lost connection is opened again. Raises CancelledError."""
        pause, longest = BACKOFF_S
        while True:
            passes = self.passes
            try:
                await self._connected()
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                logger.warning("tail lost its connection", extra={"reason": str(error)})
                self._tell_stale(True)
            pause = BACKOFF_S[0] if self.passes > passes else min(pause * 2, longest)
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))

    async def _connected(self) -> None:
        async with await connect(
            self._database, role="service", name="tail"
        ) as connection:
            if not self.started.is_set():
                await self._start(connection)
            self._tell_stale(False)
            rung = False
            while True:
                if not rung:
                    # a new connection or a poll tick: is this still our history?
                    await self._check_place(connection)
                await self._pass(connection, rung=rung)
                self.passes += 1
                rung = await self._wakeup.wait(self._poll_interval_s)

    async def _start(self, connection: Connection) -> None:
        cursor = await connection.execute(HEAD)
        row = await cursor.fetchone()
        self.position, self._digest = row if row is not None else (0, b"")
        self.started.set()

    async def _check_place(self, connection: Connection) -> None:
        if self.position == 0:
            return
        cursor = await connection.execute(DIGEST_AT, (self.position,))
        row = await cursor.fetchone()
        if row is not None and row[0] == self._digest:
            return
        logger.error(
            "the log has another history; dropping caches and streams",
            extra={"position": self.position},
        )
        await self._start(connection)
        for callback in self._resets:
            callback()

    async def _pass(self, connection: Connection, *, rung: bool) -> None:
        deliver_parts = None
        if self._read_parts is not None and (self._live_rung or not rung):
            self._live_rung = False
            deliver_parts = await self._read_parts(connection)
        while True:
            followed = self._followed()
            page = await store.read_log(
                connection,
                self.position,
                limit=PAGE,
                with_data_of=followed if len(followed) <= NAMED else None,
            )
            if page:
                self.position, self._digest = page[-1].position, page[-1].digest
                for consumer in self._consumers:
                    consumer(page)
            if len(page) < PAGE:
                break
        if deliver_parts is not None:
            deliver_parts()

    def _tell_stale(self, stale: bool) -> None:
        for callback in self._stales:
            callback(stale)
