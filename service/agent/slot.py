"""One chat that a worker takes and runs: the lease, the log, the runner, the way out.

A candidate is only a hint. The log says whether the chat needs a worker, the lease
whether another one has it, and `run_acquired` in the log makes it ours. Losing any of
these is an ordinary skip.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg

from service.agent.act import Means
from service.agent.heartbeat import Heartbeat
from service.agent.hold import Hold
from service.agent.runner import Outcome, run
from service.agent.scope import Scope
from service.agent.signals import Signals
from service.domain.chat.state import ChatState
from service.domain.chat.transitions import RUNNABLE, classify
from service.domain.commands.chat import AbandonRun, AcquireRun
from service.errors import DatabaseAway, ParleyError, Rejection
from service.eventstore.fold import Loaded
from service.eventstore.handle import Chats
from service.lease import Lease, LeaseLost, Leases

logger = logging.getLogger(__name__)

GIVE_BACK_S = 5.0
"""For the last append and the lease of a chat; then the lease is left to run out."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all slots of a worker share."""

    chats: Chats
    leases: Leases
    heartbeat: Heartbeat
    means: Means
    signals: Signals
    now: Callable[[], datetime]


class Slot:
    """A chat that is being taken or run."""

    def __init__(self, chat_id: UUID, bench: Bench) -> None:
        self._bench = bench
        self._scope = Scope()
        self._hold: Hold | None = None
        self._lost = False
        self._stopping = False
        self.chat_id = chat_id
        self.newest = 0
        """The newest version that the tail told of."""

    @property
    def missed_news(self) -> bool:
        """The log has more of this chat than was seen here."""
        return self.newest > (self._hold.version if self._hold is not None else 0)

    def wake(self, version: int) -> None:
        """The log has this version of the chat."""
        self.newest = max(self.newest, version)
        if self._hold is not None:
            self._hold.wake(version)

    def stop(self) -> None:
        """Give the chat back after its current action."""
        self._stopping = True
        if self._hold is not None:
            self._hold.stop()

    def cut(self) -> None:
        """Give the chat back now."""
        self._scope.stop()

    def lose(self) -> None:
        """The lease is gone: drop everything."""
        self._lost = True
        self._scope.stop()

    async def occupy(self) -> Outcome:
        """Take the chat, if it is to be had, and run it until it rests."""
        lease: Lease | None = None
        outcome = Outcome.SKIPPED
        try:
            async with self._scope:
                loaded = await self._bench.chats.load(self.chat_id)
                lease = await self._take_lease(loaded.state)
                if lease is not None:
                    outcome = await self._run(lease, loaded)
            if self._lost:
                return Outcome.LOST
            if self._scope.stopped:
                outcome = Outcome.STOPPED
            if lease is not None:
                self._bench.heartbeat.drop(lease)
                await self._give_back(lease, outcome)
            return outcome
        finally:
            if lease is not None:
                self._bench.heartbeat.drop(lease)
            if self._hold is not None:
                self._hold.say_through(None)

    async def _take_lease(self, state: ChatState) -> Lease | None:
        if self._stopping or classify(state) not in RUNNABLE:
            return None
        try:
            lease = await self._bench.leases.acquire(self.chat_id, floor=state.term)
        except DatabaseAway:
            self._bench.heartbeat.away()
            return None
        if lease is not None:
            self._bench.heartbeat.hold(lease)
        return lease

    async def _run(self, lease: Lease, loaded: Loaded) -> Outcome:
        bench = self._bench
        hold = Hold(
            bench.chats, lease, loaded, lease_s=bench.leases.lease_s, now=bench.now
        )
        self._hold = hold
        hold.wake(self.newest)
        if self._stopping:
            hold.stop()
        command = AcquireRun(now=bench.now(), worker=lease.worker, term=lease.term)
        try:
            await hold.commit(command)
        except Rejection:
            return Outcome.SKIPPED
        except LeaseLost:
            return Outcome.LOST
        logger.info("chat acquired", extra={"term": lease.term})
        bench.signals.acquired.fire((self.chat_id, lease.term))
        return await run(hold, bench.means)

    async def _give_back(self, lease: Lease, outcome: Outcome) -> None:
        """Let others have the chat at once; when that fails, the lease runs out."""
        try:
            async with asyncio.timeout(GIVE_BACK_S):
                if outcome is Outcome.STOPPED and self._hold is not None:
                    await self._abandon(self._hold)
                await self._bench.leases.release([lease])
        except (TimeoutError, ParleyError, psycopg.Error) as error:
            logger.warning("a chat was not given back", extra={"reason": str(error)})

    async def _abandon(self, hold: Hold) -> None:
        lease = hold.lease
        command = AbandonRun(
            now=self._bench.now(), worker=lease.worker, term=lease.term
        )
        try:
            await hold.commit(command)
        except Rejection as rejection:
            # stopped before the log had it, or another worker was faster
            logger.debug("nothing to give back", extra={"reason": str(rejection)})
