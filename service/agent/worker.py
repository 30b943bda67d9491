"""Finds chats that need a worker, and runs as many as it has slots for.

Candidates come from the doorbell (`on_events`) and from a poll of the runnable chats,
which is also the first thing at the start. The poll wakes up when the soonest lease of
another worker runs out, so a dead worker's chats wait for its lease and no longer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn
from uuid import UUID

from service.agent.act import Means
from service.agent.backoff import Backoff
from service.agent.heartbeat import Heartbeat
from service.agent.hold import AWAY
from service.agent.runner import Outcome
from service.agent.signals import Signals
from service.agent.slot import GIVE_BACK_S, Bench, Slot
from service.domain.ids import CHAT
from service.errors import DatabaseAway, FutureEvent
from service.eventstore.handle import Chats
from service.eventstore.records import RecordedEvent
from service.lease import Lease, Leases
from service.log import log_context

logger = logging.getLogger(__name__)

WAKING = frozenset({"message_appended", "interrupt_requested", "run_abandoned"})
"""Last events of appends after which a chat may need a worker that has none."""

CANDIDATES = 10_000
"""Remembered at a time, and asked for in a poll; more come with the next poll."""

AFTER_EXPIRY_S = 0.05
"""A lease that is about to run out is looked at this much later."""

POSTPONED_S = 30.0
"""A chat that cannot be run here is left alone for so long; its news end that."""

Runnable = Callable[[int], Awaitable[Sequence[UUID]]]
"""Chats that need a worker and have none, most urgent first, at most so many."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much a worker does, and how often."""

    slots: int
    poll_interval_s: float
    heartbeat_interval_s: float
    shutdown_grace_s: float


class Worker:
    """An async context manager: works while entered, gives its chats back on exit."""

    def __init__(
        self,
        chats: Chats,
        leases: Leases,
        means: Means,
        *,
        runnable: Runnable,
        pace: Pace,
        now: Callable[[], datetime],
    ) -> None:
        self._leases = leases
        self._runnable = runnable
        self._pace = pace
        self._slots: dict[UUID, Slot] = {}
        self._candidates: dict[UUID, None] = {}
        self._postponed: dict[UUID, float] = {}
        self._news = asyncio.Event()
        self._left = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self.signals = Signals()
        self.heartbeat = Heartbeat(
            leases,
            interval_s=pace.heartbeat_interval_s,
            on_lost=self._lose,
            on_beat=self.signals.beat.fire,
        )
        self._bench = Bench(chats, leases, self.heartbeat, means, self.signals, now)

    async def __aenter__(self) -> Worker:
        self._task = asyncio.create_task(self._work(), name="worker")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """In order, unless there is no time for it."""
        await (self.stop() if kind is None else self.abort())

    async def ended(self) -> None:
        """Wait until the worker has ended; raises when it did so by a fault of ours."""
        if self._task is not None:
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()

    @property
    def running(self) -> int:
        """Chats in this worker's slots."""
        return len(self._slots)

    def on_events(self, events: Sequence[RecordedEvent]) -> None:
        """News from the tail: wake the chats that run here, remember candidates."""
        for event in events:
            if event.stream.category != CHAT or not event.at_border:
                continue
            chat_id = event.stream.stream_id
            if (slot := self._slots.get(chat_id)) is not None:
                slot.wake(event.version)
            elif event.type in WAKING:
                self._postponed.pop(chat_id, None)
                self._add(chat_id)

    async def stop(self) -> None:
        """Take no more chats, let steps finish for the grace, give the rest back."""
        self._stopping = True
        for slot in self._slots.values():
            slot.stop()
        if self._task is None:
            return
        if not await self._until_empty(self._pace.shutdown_grace_s):
            for slot in self._slots.values():
                slot.cut()
            await self._until_empty(2 * GIVE_BACK_S)
        self._task.cancel()
        await asyncio.wait([self._task])
        self._task = None

    async def abort(self) -> None:
        """End at once, as a crash would; the leases run out by themselves."""
        self._stopping = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _until_empty(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while self._slots:
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            return False
        return True

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.heartbeat.run(), name="leases")
            group.create_task(self._poll_forever(), name="poll")
            group.create_task(self._take_forever(group), name="take")

    # finding chats

    async def _poll_forever(self) -> NoReturn:
        backoff = Backoff()
        while True:
            try:
                pause = await self._poll()
                backoff.reset()
            except Exception as error:
                # the doorbell still brings chats; the next poll finds the others
                logger.warning("poll failed", extra={"reason": str(error)})
                pause = backoff.next()
            self._news.set()
            await asyncio.sleep(pause)

    async def _poll(self) -> float:
        """Remember what is free; gives the seconds until the next look is worth it."""
        interval = self._pace.poll_interval_s
        if not self.heartbeat.may_acquire():
            return min(interval, self.heartbeat.pause_s + AFTER_EXPIRY_S)
        for chat_id in await self._runnable(CANDIDATES):
            if chat_id not in self._slots:
                self._add(chat_id)
        try:
            expiry = await self._leases.next_expiry()
        except DatabaseAway:
            self.heartbeat.away()
            raise
        if expiry is None:
            return interval
        return min(interval, expiry + AFTER_EXPIRY_S)

    def _add(self, chat_id: UUID) -> None:
        if len(self._candidates) < CANDIDATES and chat_id not in self._postponed:
            self._candidates[chat_id] = None
            self._news.set()

    # running them

    async def _take_forever(self, group: asyncio.TaskGroup) -> NoReturn:
        while True:
            await self._news.wait()
            self._news.clear()
            self._end_postponements()
            while self._candidates and self._has_room():
                chat_id = next(iter(self._candidates))
                del self._candidates[chat_id]
                if chat_id not in self._slots:
                    slot = self._slots[chat_id] = Slot(chat_id, self._bench)
                    group.create_task(self._occupy(slot), name=f"chat-{chat_id}")

    def _has_room(self) -> bool:
        room = len(self._slots) < self._pace.slots
        return room and not self._stopping and self.heartbeat.may_acquire()

    async def _occupy(self, slot: Slot) -> None:
        chat_id = slot.chat_id
        outcome = Outcome.NEWER
        try:
            with log_context(chat_id=str(chat_id)):
                outcome = await slot.occupy()
        except AWAY as error:
            # the poll brings it back
            outcome = Outcome.SKIPPED
            logger.warning("a chat was not taken", extra={"reason": str(error)})
        except FutureEvent:
            logger.info("a newer release wrote this chat; leaving it to that")
        except Exception:
            # whatever it was: this chat waits, the others go on
            logger.exception("a chat cannot be run", extra={"chat_id": str(chat_id)})
        finally:
            del self._slots[chat_id]
            self._left.set()
            self._news.set()
        self._after(slot, outcome)

    def _after(self, slot: Slot, outcome: Outcome) -> None:
        """Whether the chat is a candidate again, and when."""
        if outcome is Outcome.NEWER:
            self._postponed[slot.chat_id] = _clock() + POSTPONED_S
        elif outcome is Outcome.LOST or slot.missed_news:
            self._add(slot.chat_id)
        if outcome is Outcome.SKIPPED:
            self.signals.skipped.fire(slot.chat_id)
        self.signals.left.fire((slot.chat_id, outcome))

    def _end_postponements(self) -> None:
        now = _clock()
        for chat_id in [c for c, until in self._postponed.items() if until <= now]:
            del self._postponed[chat_id]

    def _lose(self, lease: Lease) -> None:
        slot = self._slots.get(lease.chat_id)
        if slot is not None:
            slot.lose()
        self.signals.lost.fire(lease.chat_id)


def _clock() -> float:
    return asyncio.get_running_loop().time()
