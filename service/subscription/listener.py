"""The one LISTEN connection of a process; the only importer of aiopg.

A notification wakes whoever subscribed to its channel, with its payload as a hint.
Every connect and reconnect wakes everybody without a payload, for what was missed. A
half-open connection raises nothing, so the listener rings itself and reconnects when it
goes unheard. No name of aiopg or psycopg2 leaves this file.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any, NoReturn
from uuid import uuid4

import aiopg
import psycopg2

from service.db.cancel import honour_cancellation
from service.errors import ListenerLost
from service.subscription.wakeup import Wakeup

logger = logging.getLogger(__name__)

LOG_CHANNEL = "parley_log"
LIVE_CHANNEL = "parley_live"
READ_CHANNEL = "parley_read"

PING_INTERVAL_S = 15.0
"""Shorter than the idle time-out of common firewalls and load balancers."""
PINGS_UNHEARD = 3
"""One lost ping is a busy server; three are a dead connection."""
BACKOFF_S = (0.1, 5.0)
"""First and longest pause between two attempts to connect."""

OnNotify = Callable[[str | None], None]
"""Called with a notification's payload, or None: anything may have happened."""


class Listener:
    """Owns the connection; `run` keeps it up until cancelled.

    `dsn` must be direct: LISTEN does not work through a transaction pooler.
    """

    def __init__(self, dsn: str, *, ping_interval_s: float = PING_INTERVAL_S) -> None:
        self._dsn = dsn
        self._ping_interval_s = ping_interval_s
        self._subscribers: dict[str, list[OnNotify]] = {}
        self.connects = 0
        self.connected = asyncio.Event()

    @property
    def reconnects(self) -> int:
        """Connections after the first one; read by metrics."""
        return max(0, self.connects - 1)

    def subscribe(self, channel: str, on_notify: OnNotify) -> None:
        """Call `on_notify` for each notification; before `run` starts."""
        self._subscribers.setdefault(channel, []).append(on_notify)

    def wakeup(self, channel: str) -> Wakeup:
        """A wake-up that each notification on `channel` rings."""
        wakeup = Wakeup()
        self.subscribe(channel, lambda _: wakeup.ring())
        return wakeup

    async def run(self) -> NoReturn:
        """Listen for ever; never raises but CancelledError."""
        pause, longest = BACKOFF_S
        while True:
            connects = self.connects
            try:
                await self._listen()
            except ListenerLost as lost:
                logger.warning("listener lost", extra={"reason": str(lost)})
            finally:
                self.connected.clear()
            pause = (
                BACKOFF_S[0] if self.connects > connects else min(pause * 2, longest)
            )
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))

    async def _listen(self) -> None:
        ping = f"parley_ping_{uuid4().hex}"
        try:
            async with aiopg.connect(
                self._dsn,
                timeout=self._ping_interval_s,
                enable_json=False,
                enable_hstore=False,
                enable_uuid=False,
                application_name="parley/listener",
            ) as connection:
                async with connection.cursor() as cursor:
                    for channel in (*self._subscribers, ping):
                        await cursor.execute(f"LISTEN {channel}")
                self.connects += 1
                self.connected.set()
                self._wake_all()
                await self._hear(connection, ping)
        except (psycopg2.Error, OSError, TimeoutError) as error:
            raise ListenerLost(str(error).strip() or type(error).__name__) from error

    async def _hear(self, connection: Any, ping: str) -> None:
        unheard = 0
        while True:
            honour_cancellation()
            try:
                async with asyncio.timeout(self._ping_interval_s):
                    notification = await connection.notifies.get()
            except TimeoutError:
                if unheard == PINGS_UNHEARD:
                    raise ListenerLost("it did not hear its own pings") from None
                unheard += 1
                async with connection.cursor() as cursor:
                    await cursor.execute(f"NOTIFY {ping}")
                continue
            unheard = 0
            for on_notify in self._subscribers.get(notification.channel, ()):
                on_notify(notification.payload)

    def _wake_all(self) -> None:
        for subscribers in self._subscribers.values():
            for on_notify in subscribers:
                on_notify(None)
