"""Keeps a worker's leases alive, and says which are lost.

One statement renews all. Leases that its answer lacks are lost. Without any answer for
the lease time, by this process's monotonic clock, all are. After an outage that was
seen here no lease is taken until one lease time after the first answer: by then every
worker that still lives has renewed its own, and what is not renewed is free.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import NoReturn
from uuid import UUID

from service.agent.backoff import Backoff
from service.lease import Lease, Leases

logger = logging.getLogger(__name__)

JITTER = 0.1
"""Of the lease time: workers that saw the same outage do not all grasp at once."""

OnLost = Callable[[Lease], None]


class Heartbeat:
    """The leases that one worker holds. `on_lost` is called once for each lost one."""

    def __init__(
        self,
        leases: Leases,
        *,
        interval_s: float,
        on_lost: OnLost,
        on_beat: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._leases = leases
        self._interval_s = interval_s
        self._on_lost = on_lost
        self._on_beat = on_beat
        self._held: dict[UUID, Lease] = {}
        self._away = False
        self._free_at = 0.0
        self._due = asyncio.Event()
        self.losses = 0
        """Leases lost since the process started; read by metrics."""
        self.heartbeats = 0
        """Heartbeats that were answered."""

    @property
    def held(self) -> int:
        """Leases that are renewed."""
        return len(self._held)

    def hold(self, lease: Lease) -> None:
        """Renew this one from now on."""
        self._held[lease.chat_id] = lease

    def drop(self, lease: Lease) -> None:
        """Renew it no more."""
        if self._held.get(lease.chat_id) is lease:
            del self._held[lease.chat_id]

    def away(self) -> None:
        """The database does not answer; also told by others that noticed it."""
        if not self._away:
            logger.warning("leases cannot be renewed; none is taken meanwhile")
        self._away = True
        self._due.set()

    def may_acquire(self) -> bool:
        """Whether it is right to take leases now."""
        return self.pause_s <= 0.0

    @property
    def pause_s(self) -> float:
        """Seconds until it is right again, if the database answered now."""
        if self._away:
            return self._leases.lease_s
        return self._free_at - _clock()

    async def run(self) -> None:
        """Beat and watch for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat_forever(), name="heartbeat")
            group.create_task(self._expire_forever(), name="lease-watch")

    async def beat(self) -> None:
        """One heartbeat. Raises DatabaseAway."""
        held = list(self._held.values())
        lost = await self._leases.renew(held)
        self.heartbeats += 1
        if self._away:
            self._back()
        for lease in lost:
            self._lose(lease, "another worker has it, or the table was emptied")
        self._on_beat(len(held) - len(lost))

    async def _beat_forever(self) -> NoReturn:
        backoff = Backoff()
        while True:
            next_at = _clock() + self._interval_s
            self._due.clear()
            try:
                await self.beat()
                backoff.reset()
            except Exception as error:
                # whatever it is, only an answer renews leases
                logger.warning("no heartbeat", extra={"reason": str(error)})
                self.away()
                await asyncio.sleep(min(backoff.next(), self._interval_s))
            else:
                await self._rest_until(next_at)

    async def _rest_until(self, at: float) -> None:
        """Wait, but no longer than until somebody sees that the database is away."""
        try:
            async with asyncio.timeout_at(at):
                await self._due.wait()
        except TimeoutError:
            return

    async def _expire_forever(self) -> NoReturn:
        lease_s = self._leases.lease_s
        while True:
            self.expire()
            # a lease that is taken from now on lasts at least until then
            oldest = min((h.renewed_at for h in self._held.values()), default=_clock())
            await asyncio.sleep(max(oldest + lease_s - _clock(), lease_s / 100))

    def expire(self) -> None:
        """Lose what no answered heartbeat has confirmed for the lease time."""
        limit = _clock() - self._leases.lease_s
        for lease in [h for h in self._held.values() if h.renewed_at <= limit]:
            self._lose(lease, "no heartbeat was answered in time")

    def _lose(self, lease: Lease, reason: str) -> None:
        if self._held.get(lease.chat_id) is not lease:
            return
        self.drop(lease)
        self.losses += 1
        logger.warning(
            "lease lost",
            extra={"chat_id": str(lease.chat_id), "term": lease.term, "reason": reason},
        )
        self._on_lost(lease)

    def _back(self) -> None:
        self._away = False
        pause = self._leases.lease_s * random.uniform(1.0, 1.0 + JITTER)
        self._free_at = _clock() + pause
        logger.info("leases are renewed again", extra={"pause_s": round(pause, 1)})


def _clock() -> float:
    return asyncio.get_running_loop().time()
