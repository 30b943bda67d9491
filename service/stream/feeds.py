"""What wakes requests and feeds that follow no single chat's frames, put together."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from service.db.pool import Pool
from service.readmodels.progress import Progress
from service.stream.bells import Bells
from service.stream.watch import Watchers
from service.subscription.listener import READ_CHANNEL, Listener
from service.subscription.tail import Tail


class Feeds:
    """Owned by the process; `run` must be running while requests are served."""

    def __init__(
        self, pool: Pool, *, heartbeat_s: float, send_timeout_s: float
    ) -> None:
        self.heartbeat_s = heartbeat_s
        self.send_timeout_s = send_timeout_s
        self.bells = Bells()
        self.progress = Progress(pool)
        self.watchers = Watchers(pool)

    def attach(self, tail: Tail, listener: Listener) -> None:
        """Hear everything; before the tail and the listener run."""
        tail.subscribe(self.bells.on_events)
        tail.on_reset(self.bells.reset)
        tail.on_reset(self.watchers.bells.reset)
        listener.subscribe(READ_CHANNEL, self.progress.ring)
        listener.subscribe(READ_CHANNEL, self.watchers.ring)

    async def run(self) -> NoReturn:
        """Read for all who wait; cancelled at the end."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.progress.run(), name="progress")
            tasks.create_task(self.watchers.run(), name="watchers")
        raise AssertionError("neither of them ends by itself")

    @property
    def open(self) -> int:
        """Open raw feeds and watchers."""
        return self.bells.open + self.watchers.bells.open

    def end(self, reason: str) -> None:
        """Send everybody away: the process stops."""
        self.bells.end(reason)
        self.watchers.bells.end(reason)
