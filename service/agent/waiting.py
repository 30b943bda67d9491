"""Chats that a worker holds and that only wait: for their client, or for a retry.

They cost a lease and an entry in a heap: no task, no slot, no state in memory. One
timer stands for the soonest of them. Time or news makes a chat due; a runner then
reads it from the log, whatever had been waited for.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from uuid import UUID

from service.lease import Lease

LONGEST_S = 60.0
"""Of the timer: it does not notice that somebody has set the clock."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A chat of ours that nothing is to be done to before `until`, unless news come."""

    lease: Lease
    until: datetime
    version: int
    """Of the state that said so."""


class Waiting:
    """The waiting chats of one worker. `on_due` is called when one is to be taken."""

    def __init__(
        self, *, now: Callable[[], datetime], on_due: Callable[[], None]
    ) -> None:
        self._now = now
        self._on_due = on_due
        self._waits: dict[UUID, Wait] = {}
        self._due: OrderedDict[UUID, Wait] = OrderedDict()
        self._heap: list[tuple[datetime, int, Wait]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waits) + len(self._due)

    def __contains__(self, chat_id: UUID) -> bool:
        return chat_id in self._waits or chat_id in self._due

    def put(self, wait: Wait) -> None:
        """Wait with this chat."""
        self._waits[wait.lease.chat_id] = wait
        heapq.heappush(self._heap, (wait.until, next(self._order), wait))
        if self._heap[0][2] is wait:
            self._arm()

    def news(self, chat_id: UUID, version: int, *, urgent: bool = False) -> None:
        """The log has this version: if that is more than was seen, the chat is due.

        One that is urgent is the next to be taken.
        """
        wait = self._waits.get(chat_id)
        if wait is not None and version > wait.version:
            self._make_due(wait)
        if urgent and chat_id in self._due:
            self._due.move_to_end(chat_id, last=False)

    def take(self) -> Wait | None:
        """A chat that is due, if any is; it waits here no more."""
        if not self._due:
            return None
        return self._due.popitem(last=False)[1]

    def drop(self, lease: Lease) -> None:
        """Its lease is lost: no concern of ours any more."""
        waits: dict[UUID, Wait]
        for waits in (self._waits, self._due):
            wait = waits.get(lease.chat_id)
            if wait is not None and wait.lease is lease:
                del waits[lease.chat_id]

    def clear(self) -> list[Wait]:
        """Wait with none any more; gives those that there were."""
        waits = [*self._waits.values(), *self._due.values()]
        self._waits.clear()
        self._due.clear()
        self._heap.clear()
        self._arm()
        return waits

    def _make_due(self, wait: Wait) -> None:
        del self._waits[wait.lease.chat_id]
        self._due[wait.lease.chat_id] = wait
        self._on_due()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            seconds = (self._heap[0][0] - self._now()).total_seconds()
            pause = min(LONGEST_S, max(0.0, seconds))
            self._timer = asyncio.get_running_loop().call_later(pause, self._ring)

    def _ring(self) -> None:
        now = self._now()
        while self._heap and self._heap[0][0] <= now:
            _, _, wait = heapq.heappop(self._heap)
            if self._waits.get(wait.lease.chat_id) is wait:
                self._make_due(wait)
        self._arm()
