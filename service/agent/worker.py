"""Finds chats that need a worker, and runs as many as it has slots for.

Candidates come from the doorbell (`on_events`) and from a poll of the runnable chats,
which is also the first thing at the start. The poll wakes up when the soonest lease of
another worker runs out, so a dead worker's chats wait for its lease and no longer.

A slot is for a chat that generates. What is short is done besides: ending an
interruption, taking a chat that then only waits, seeing that its time is up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn
from uuid import UUID

from service.agent.backoff import Backoff
from service.agent.candidates import CANDIDATES, Candidates
from service.agent.heartbeat import Heartbeat
from service.agent.hold import AWAY
from service.agent.means import Means
from service.agent.news import Meaning, news_of
from service.agent.runner import Outcome
from service.agent.signals import Signals
from service.agent.slot import GIVE_BACK_S, Bench, Slot, give_back
from service.agent.waiting import Waiting
from service.domain.chat.state import Status
from service.errors import DatabaseAway
from service.eventstore.handle import Chats
from service.eventstore.records import RecordedEvent
from service.lease import Lease, Leases
from service.log import log_context

logger = logging.getLogger(__name__)

AFTER_EXPIRY_S = 0.05
"""A lease that is about to run out is looked at this much later."""

ERRANDS = 8
"""Chats without a slot that something is done to: each is a few round trips, and more
at a time would only wait for each other."""

HALF_LOAD = 8
"""Chats in slots that make a worker half as eager for another one."""

HOLDERS_TURNS = 4
"""For a holder that lives to go on before another worker tries."""

Runnable = Callable[[int], Awaitable[Sequence[tuple[UUID, str]]]]
"""Chats that need a worker and have none, with their status, most urgent first, at
most so many of each status."""


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
        self._news = asyncio.Event()
        self._left = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._waiting = Waiting(now=now, on_due=self._news.set)
        self._candidates = Candidates(
            leases.worker, load=self._load, on_more=self._news.set
        )
        self.signals = Signals()
        self.heartbeat = Heartbeat(
            leases,
            interval_s=pace.heartbeat_interval_s,
            on_lost=self._lose,
            on_beat=self.signals.beat.fire,
        )
        self._bench = Bench(
            chats,
            leases,
            self.heartbeat,
            means,
            self.signals,
            now=now,
            has_room=self._has_room,
        )

    async def __aenter__(self) -> Worker:
        self._task = asyncio.create_task(self._work(), name="worker")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """In order, unless there is no time for it."""
        try:
            await (self.stop() if kind is None else self.abort())
        finally:
            await self._bench.means.background.close()

    async def ended(self) -> None:
        """Wait until the worker has ended; raises when it did so by a fault of ours."""
        if self._task is not None:
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()

    @property
    def running(self) -> int:
        """Chats in this worker's slots."""
        return sum(slot.admitted for slot in self._slots.values())

    @property
    def waiting(self) -> int:
        """Chats held here that wait for their client, or for a retry."""
        return len(self._waiting)

    @property
    def chats(self) -> dict[str, int]:
        """Chats held here, by what they do."""
        return {"streaming": self.running, "waiting": self.waiting}

    def on_events(self, events: Sequence[RecordedEvent]) -> None:
        """News from the tail: wake the chats that are here, remember candidates."""
        for news in news_of(events):
            chat_id, meaning = news.chat_id, news.meaning
            calls = meaning in (Meaning.FREE, Meaning.CHANGED)
            if (slot := self._slots.get(chat_id)) is not None:
                slot.wake(news.version, calls=calls)
                if meaning is Meaning.HELD and slot.begun_at is not None:
                    self._candidates.heard(_clock() - slot.begun_at)
                    slot.begun_at = None
            elif chat_id in self._waiting:
                self._waiting.news(chat_id, news.version, urgent=news.urgent)
            elif meaning is Meaning.HELD:
                self._candidates.taken(chat_id)
            elif calls:
                late = HOLDERS_TURNS if meaning is Meaning.CHANGED else 0
                self._candidates.reconsider(chat_id)
                status = Status.INTERRUPTING if news.urgent else Status.RUNNING
                self._candidates.offer(chat_id, status=status, late=late)

    async def stop(self) -> None:
        """Take no more chats, let steps finish for the grace, give the rest back."""
        self._stopping = True
        for slot in self._slots.values():
            slot.stop()
        self._candidates.close()
        if self._task is None:
            return
        await self._give_back_waiting()
        if not await self._until_empty(self._pace.shutdown_grace_s):
            for slot in self._slots.values():
                slot.cut()
            await self._until_empty(2 * GIVE_BACK_S)
        await self._give_back_waiting()
        self._task.cancel()
        await asyncio.wait([self._task])
        self._task = None

    async def abort(self) -> None:
        """End at once, as a crash would; the leases run out by themselves."""
        self._stopping = True
        self._candidates.close()
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _give_back_waiting(self) -> None:
        waits = self._waiting.clear()
        for wait in waits:
            self.heartbeat.drop(wait.lease)
        if waits:
            chats = [(wait.lease, wait.version) for wait in waits]
            await give_back(chats, self._bench, unfinished=True)

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
        try:
            around = await self._leases.look()
        except DatabaseAway:
            self.heartbeat.away()
            raise
        self._candidates.meet(around.workers)
        for chat_id, status in await self._runnable(CANDIDATES):
            if chat_id not in self._slots and chat_id not in self._waiting:
                self._candidates.offer(chat_id, status=Status(status))
        if around.expiry_s is None:
            return interval
        return min(interval, around.expiry_s + AFTER_EXPIRY_S)

    # running them

    async def _take_forever(self, group: asyncio.TaskGroup) -> NoReturn:
        while True:
            await self._news.wait()
            self._news.clear()
            while (slot := self._next()) is not None:
                self._slots[slot.chat_id] = slot
                group.create_task(self._occupy(slot), name=f"chat-{slot.chat_id}")

    def _next(self) -> Slot | None:
        """The next chat to do something to, most urgent first."""
        if self._stopping:
            return None
        if len(self._slots) - self.running < ERRANDS:
            if (chat_id := self._candidate(Status.INTERRUPTING)) is not None:
                return Slot(chat_id, self._bench)
            if (wait := self._waiting.take()) is not None:
                return Slot(wait.lease.chat_id, self._bench, lease=wait.lease)
            if (chat_id := self._candidate(Status.REQUIRES_ACTION)) is not None:
                return Slot(chat_id, self._bench)
        if (
            self._has_room()
            and (chat_id := self._candidate(Status.RUNNING)) is not None
        ):
            return Slot(chat_id, self._bench, admitted=True)
        return None

    def _candidate(self, status: Status) -> UUID | None:
        """The next one of this kind that is not here already, if one may be taken."""
        if not self.heartbeat.may_acquire():
            return None
        while (chat_id := self._candidates.next(status)) is not None:
            if chat_id not in self._slots and chat_id not in self._waiting:
                return chat_id
        return None

    def _has_room(self) -> bool:
        return self.running < self._pace.slots

    def _load(self) -> float:
        """From 0 to 1: a few chats more count for more when there are few."""
        return self.running / (self.running + HALF_LOAD)

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
        except Exception:
            # whatever it was: this chat waits, the others go on
            logger.exception("a chat cannot be run", extra={"chat_id": str(chat_id)})
        finally:
            del self._slots[chat_id]
            self._left.set()
            self._news.set()
        self._after(slot, outcome)

    def _after(self, slot: Slot, outcome: Outcome) -> None:
        """Where the chat goes from here: it waits, is a candidate again, or neither."""
        chat_id = slot.chat_id
        if outcome is Outcome.WAITS and (wait := slot.wait) is not None:
            self._waiting.put(wait)
            self._waiting.news(chat_id, slot.newest)
        elif outcome is Outcome.NEWER:
            logger.info("a chat is left to a newer release, or until it can be run")
            self._candidates.postpone(chat_id)
        elif outcome in (Outcome.LOST, Outcome.CROWDED):
            self._candidates.add(chat_id)
        elif slot.missed_call:
            late = HOLDERS_TURNS if outcome is Outcome.SKIPPED else 0
            self._candidates.offer(chat_id, late=late)
        if outcome is Outcome.SKIPPED:
            self.signals.skipped.fire(chat_id)
        self.signals.left.fire((chat_id, outcome))

    def _lose(self, lease: Lease) -> None:
        self._waiting.drop(lease)
        slot = self._slots.get(lease.chat_id)
        if slot is not None:
            slot.lose()
        self.signals.lost.fire(lease.chat_id)


def _clock() -> float:
    return asyncio.get_running_loop().time()
