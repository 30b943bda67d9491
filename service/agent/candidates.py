"""Chats that may need this worker: interrupting ones, waiting ones, running ones.

Every worker hears of every chat. So that not all of them ask for its lease at once,
each chat has an order of the workers that live, the same for all of them: the first
tries now, the next a little later, and what another has taken is forgotten. A worker
with much to do is later than one with little, and one alone with nothing to do tries
at once. How much later is measured: a busy database takes its time to tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from hashlib import blake2b
from uuid import UUID

from service.domain.chat.state import Status

URGENCY = (Status.INTERRUPTING, Status.REQUIRES_ACTION, Status.RUNNING)
"""A person waits, a deadline comes, a turn wants a slot."""

CANDIDATES = 10_000
"""Remembered of each kind, and asked for in a poll; more come with the next poll."""

STEP_S = (0.015, 1.0)
"""Between two workers: at least what it takes to take a chat and to be heard on an idle
machine, three times; and no longer than a person would notice on a busy one."""

STEP_FACTOR = 1.5
"""Of the time that it takes now: most are heard before the next worker tries."""

SMOOTHING = 0.2
"""Weight of the newest measurement."""

LOAD_STEPS = 2
"""How much later a worker is that has very much to do. Also when it knows of no other
one: who has just started holds nothing yet, so nobody has heard of it."""

MOST_STEPS = 20
"""Later than that nobody is, however many workers there are."""

POSTPONED_S = 30.0
"""A chat that cannot be run here is left alone for so long; its news end that."""


class Candidates:
    """The chats that one worker might take. `on_more` is called when there are more."""

    def __init__(
        self, worker: str, *, load: Callable[[], float], on_more: Callable[[], None]
    ) -> None:
        self._worker = worker
        self._load = load
        self._on_more = on_more
        self._peers: frozenset[str] = frozenset()
        self._heard_s = 0.0
        self._kinds: dict[Status, dict[UUID, None]] = {kind: {} for kind in URGENCY}
        self._later: dict[UUID, asyncio.TimerHandle] = {}
        self._postponed: dict[UUID, float] = {}

    def meet(self, workers: Collection[str]) -> None:
        """These workers hold leases now."""
        self._peers = frozenset(workers) - {self._worker}

    def heard(self, seconds: float) -> None:
        """It took so long to take a chat and to hear of it."""
        self._heard_s += SMOOTHING * (seconds - self._heard_s)

    @property
    def step_s(self) -> float:
        """Between two workers that try the same chat."""
        shortest, longest = STEP_S
        return min(longest, max(shortest, STEP_FACTOR * self._heard_s))

    def offer(
        self, chat_id: UUID, *, status: Status = Status.RUNNING, late: int = 0
    ) -> None:
        """It may need a worker; try it when it is our turn, and `late` turns later."""
        if self._has(chat_id, status):
            return
        self._forget_timer(chat_id)
        steps = late + self._place(chat_id) + LOAD_STEPS * self._load()
        if steps == 0:
            self.add(chat_id, status=status)
        elif len(self._later) < CANDIDATES:
            pause = self.step_s * min(steps, MOST_STEPS)
            loop = asyncio.get_running_loop()
            self._later[chat_id] = loop.call_later(pause, self._now, chat_id, status)

    def add(self, chat_id: UUID, *, status: Status = Status.RUNNING) -> None:
        """Try it as soon as there is room."""
        kind = self._kinds[status]
        if (
            len(kind) >= CANDIDATES
            or self._has(chat_id, status)
            or self._is_postponed(chat_id)
        ):
            return
        self._drop(chat_id)
        kind[chat_id] = None
        self._on_more()

    def taken(self, chat_id: UUID) -> None:
        """Another worker has it, or this one."""
        self._forget_timer(chat_id)
        self._drop(chat_id)

    def postpone(self, chat_id: UUID) -> None:
        """It cannot be run here now."""
        self._postponed[chat_id] = _clock() + POSTPONED_S

    def reconsider(self, chat_id: UUID) -> None:
        """There is something new in it."""
        self._postponed.pop(chat_id, None)

    def next(self, status: Status) -> UUID | None:
        """The one of this kind that waits longest; it is no candidate any more."""
        kind = self._kinds[status]
        chat_id = next(iter(kind), None)
        if chat_id is not None:
            del kind[chat_id]
        return chat_id

    def close(self) -> None:
        """Forget all of them."""
        for timer in self._later.values():
            timer.cancel()
        self._later.clear()
        for kind in self._kinds.values():
            kind.clear()

    def _has(self, chat_id: UUID, status: Status) -> bool:
        """It is there, as urgent as that or more so."""
        kinds = URGENCY[: URGENCY.index(status) + 1]
        return any(chat_id in self._kinds[kind] for kind in kinds)

    def _drop(self, chat_id: UUID) -> None:
        for kind in self._kinds.values():
            kind.pop(chat_id, None)

    def _place(self, chat_id: UUID) -> int:
        """How many living workers come before this one in the chat's order."""
        if not self._peers:
            return 0
        ours = _rank(chat_id, self._worker)
        return sum(_rank(chat_id, peer) < ours for peer in self._peers)

    def _now(self, chat_id: UUID, status: Status) -> None:
        del self._later[chat_id]
        self.add(chat_id, status=status)

    def _forget_timer(self, chat_id: UUID) -> None:
        timer = self._later.pop(chat_id, None)
        if timer is not None:
            timer.cancel()

    def _is_postponed(self, chat_id: UUID) -> bool:
        until = self._postponed.get(chat_id)
        if until is not None and until <= _clock():
            del self._postponed[chat_id]
            return False
        return until is not None


def _rank(chat_id: UUID, worker: str) -> bytes:
    return blake2b(chat_id.bytes + worker.encode(), digest_size=8).digest()


def _clock() -> float:
    return asyncio.get_running_loop().time()
