"""Recorded events to the state of a chat, and what keeping that state costs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service import wire
from service.domain.chat.evolve import evolve, fold
from service.domain.chat.state import ChatState
from service.domain.events.chat import ChatEvent
from service.eventstore.codec import STREAM_PURGED, decode
from service.eventstore.records import (
    SLICE,
    NewEvent,
    RecordedEvent,
    StreamResult,
    slices,
)
from service.eventstore.returned import as_returned

CHAT_SIZE = 2_000
"""Bytes of a folded chat before its first event (measured)."""

EVENT_SIZE = 600
"""Bytes of an event beside its text, over a chat's mix of events (measured)."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A chat at an append border; `digest` says of which history."""

    state: ChatState
    version: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Fold:
    """A loaded chat and about how many bytes it takes to keep it."""

    loaded: Loaded
    size: int

    @property
    def is_erased(self) -> bool:
        """Whether there was a chat, and is none any more."""
        return self.loaded.version > 0 and not self.loaded.state.exists


NOTHING = Fold(Loaded(ChatState(), 0, b""), CHAT_SIZE)
"""Version 0: a chat that does not exist."""


def after_recorded(before: Fold, events: Sequence[RecordedEvent]) -> Fold:
    """The fold after events that follow it; a purge leaves nothing but the version.

    Raises FutureEvent for an event that a newer release wrote.
    """
    if not events:
        return before
    state, size = before.loaded.state, before.size
    for recorded in events:
        if recorded.type == STREAM_PURGED:
            state, size = ChatState(version=state.version), CHAT_SIZE
        state = evolve(state, decode(recorded))
        size += EVENT_SIZE + len(wire.dumps(recorded.data))
    return Fold(Loaded(state, state.version, events[-1].digest), size)


async def after_page(before: Fold, events: Sequence[RecordedEvent]) -> Fold:
    """The same; the loop gets its turn after each slice of a long append."""
    for part in slices(events):
        before = after_recorded(before, part)
        if len(part) == SLICE:
            await asyncio.sleep(0)
    return before


def after_append(
    before: Fold,
    events: Iterable[ChatEvent],
    encoded: Iterable[NewEvent],
    result: StreamResult,
) -> Fold:
    """The fold after this process's own append, without reading it back."""
    state = fold(before.loaded.state, map(as_returned, events))
    size = before.size + sum(EVENT_SIZE + len(wire.dumps(e.data)) for e in encoded)
    return Fold(Loaded(state, result.last_version, result.digest), size)
