"""One chat that a worker takes and runs: the lease, the log, the runner, the way out.

A candidate is only a hint. The log says whether the chat needs a worker, the lease
whether another one has it, and `run_acquired` in the log makes it ours. Losing any of
these is an ordinary skip. A chat that waited here is ours already: it goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import psycopg

from service.agent.heartbeat import Heartbeat
from service.agent.hold import AWAY, Hold
from service.agent.means import Means
from service.agent.runner import Outcome, run
from service.agent.scope import Scope
from service.agent.signals import Signals
from service.agent.waiting import Wait
from service.domain.chat.state import ChatState, Status
from service.domain.chat.transitions import RUNNABLE, classify
from service.domain.commands.chat import AbandonRun, AcquireRun
from service.errors import DatabaseAway, FutureEvent, ParleyError, Rejection
from service.eventstore.fold import Loaded
from service.eventstore.handle import Chats
from service.lease import Lease, LeaseLost, Leases

logger = logging.getLogger(__name__)

GIVE_BACK_S = 5.0
"""For the last appends and the leases; then these are left to run out."""

GIVE_BACK_TOGETHER = 50
"""Chats given back at a time: they end up in a few commits."""

AGAIN = timedelta(seconds=1)
"""A chat that waited and cannot be read is looked at again so much later."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all slots of a worker share."""

    chats: Chats
    leases: Leases
    heartbeat: Heartbeat
    means: Means
    signals: Signals
    now: Callable[[], datetime]
    has_room: Callable[[], bool]
    """Whether one more chat may generate here."""


class Slot:
    """A chat that is being taken or run.

    It needs room only for generating; what it does besides is done at once.
    """

    def __init__(
        self,
        chat_id: UUID,
        bench: Bench,
        *,
        lease: Lease | None = None,
        admitted: bool = False,
    ) -> None:
        self._bench = bench
        self._scope = Scope()
        self._hold: Hold | None = None
        self._lease = lease
        self._until: datetime | None = None
        self._loaded = 0
        self._lost = False
        self._stopping = False
        self.chat_id = chat_id
        self.admitted = admitted
        """It counts among the chats that generate."""
        self._called = 0
        self.begun_at: float | None = asyncio.get_running_loop().time()
        """Until it was heard that the chat is taken."""
        self.newest = 0
        """The newest version that the tail told of."""

    @property
    def missed_call(self) -> bool:
        """The chat called for a worker, and what was seen here is older."""
        return self._called > self._version

    @property
    def wait(self) -> Wait | None:
        """What the chat waits for, once `occupy` has said that it does."""
        if self._lease is None or self._until is None:
            return None
        return Wait(self._lease, self._until, self._version)

    @property
    def _version(self) -> int:
        return self._hold.version if self._hold is not None else self._loaded

    def wake(self, version: int, *, calls: bool) -> None:
        """The log has this version of the chat, which may call for a worker."""
        self.newest = max(self.newest, version)
        if calls:
            self._called = self.newest
        if self._hold is not None:
            self._hold.wake(version)

    def admit(self) -> bool:
        """Ask for room to generate in."""
        self.admitted = self.admitted or self._bench.has_room()
        return self.admitted

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
        """Take the chat, if it is to be had, and run it until it rests or waits."""
        outcome = Outcome.SKIPPED
        try:
            async with self._scope:
                outcome = await self._take_and_run()
            if self._lost:
                outcome = Outcome.LOST
            elif self._scope.stopped:
                outcome = Outcome.STOPPED
            kept = outcome is Outcome.WAITS or self._lost
            if self._lease is not None and not kept:
                self._bench.heartbeat.drop(self._lease)
                unfinished = outcome in (Outcome.STOPPED, Outcome.CROWDED)
                chats = [(self._lease, self._version)]
                await give_back(chats, self._bench, unfinished=unfinished)
            return outcome
        finally:
            if self._lease is not None and outcome is not Outcome.WAITS:
                self._bench.heartbeat.drop(self._lease)
            if self._hold is not None:
                self._hold.say_through(None)

    async def _take_and_run(self) -> Outcome:
        try:
            return await self._read_and_run()
        except FutureEvent:
            return Outcome.NEWER

    async def _read_and_run(self) -> Outcome:
        bench = self._bench
        try:
            loaded = await bench.chats.load(self.chat_id)
        except AWAY:
            if self._lease is None:
                raise
            # it is still ours, and has waited already
            self._until = bench.now() + AGAIN
            return Outcome.WAITS
        self._loaded = loaded.version
        if self._lease is not None:
            return await self._run(self._held(self._lease, loaded))
        lease = await self._take_lease(loaded.state)
        if isinstance(lease, Outcome):
            return lease
        self._lease = lease
        bench.heartbeat.hold(lease)
        hold = self._held(lease, loaded)
        return await self._acquire(hold) or await self._run(hold)

    async def _take_lease(self, state: ChatState) -> Lease | Outcome:
        """The lease, or why it is not to be had."""
        bench = self._bench
        if self._stopping or classify(state) not in RUNNABLE:
            return Outcome.SKIPPED
        if state.status is Status.RUNNING and not self.admit():
            return Outcome.CROWDED
        try:
            lease = await bench.leases.acquire(self.chat_id, floor=state.term)
        except DatabaseAway:
            bench.heartbeat.away()
            return Outcome.SKIPPED
        return lease or Outcome.SKIPPED

    def _held(self, lease: Lease, loaded: Loaded) -> Hold:
        bench = self._bench
        hold = self._hold = Hold(
            bench.chats,
            lease,
            loaded,
            lease_s=bench.leases.lease_s,
            now=bench.now,
            admit=self.admit,
        )
        hold.wake(self.newest)
        if self._stopping:
            hold.stop()
        return hold

    async def _run(self, hold: Hold) -> Outcome:
        outcome = await run(hold, self._bench.means)
        self._until = hold.until
        return outcome

    async def _acquire(self, hold: Hold) -> Outcome | None:
        """Why the log does not say that the chat is ours, if it does not."""
        bench, lease = self._bench, hold.lease
        command = AcquireRun(now=bench.now(), worker=lease.worker, term=lease.term)
        try:
            await hold.commit(command)
        except Rejection:
            return Outcome.SKIPPED
        except LeaseLost:
            return Outcome.LOST
        logger.info("chat acquired", extra={"term": lease.term})
        bench.signals.acquired.fire((self.chat_id, lease.term))
        return None


async def give_back(
    chats: Sequence[tuple[Lease, int]], bench: Bench, *, unfinished: bool
) -> None:
    """Let others have the chats, seen at these versions; else their leases run out.

    First the leases, then the log, which rings: whoever hears it finds them free.
    """
    try:
        async with asyncio.timeout(GIVE_BACK_S):
            await bench.leases.release([lease for lease, _ in chats])
            if unfinished:
                await _abandon_all(chats, bench)
    except (TimeoutError, ParleyError, psycopg.Error) as error:
        logger.warning("chats were not given back", extra={"reason": str(error)})


async def _abandon_all(chats: Sequence[tuple[Lease, int]], bench: Bench) -> None:
    for first in range(0, len(chats), GIVE_BACK_TOGETHER):
        async with asyncio.TaskGroup() as group:
            for lease, version in chats[first : first + GIVE_BACK_TOGETHER]:
                group.create_task(_abandon(lease, version, bench))


async def _abandon(lease: Lease, version: int, bench: Bench) -> None:
    command = AbandonRun(now=bench.now(), worker=lease.worker, term=lease.term)
    try:
        await bench.chats.execute(
            lease.chat_id,
            command,
            actor=f"worker:{lease.worker}",
            causation_id=f"{lease.chat_id}:{version}" if version else None,
        )
    except Rejection as rejection:
        # stopped before the log had it, or another worker was faster
        logger.debug("nothing to give back", extra={"reason": str(rejection)})
    except (ParleyError, psycopg.Error) as error:
        logger.warning("a chat was not given back", extra={"reason": str(error)})
