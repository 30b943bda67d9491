"""What wakes requests and feeds that follow no single chat's frames, put together."""

from __future__ import annotations

from typing import NoReturn

from service.db.pool import Pool
from service.readmodels.progress import Progress
from service.stream.bells import Bells
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

    def attach(self, tail: Tail, listener: Listener) -> None:
        """Hear everything; before the tail and the listener run."""
        tail.subscribe(self.bells.on_events)
        tail.on_reset(self.bells.reset)
        listener.subscribe(READ_CHANNEL, self.progress.ring)

    async def run(self) -> NoReturn:
        """Read for all who wait; cancelled at the end."""
        await self.progress.run()
