"""Doorbells of raw feeds and watchers: one per chat, one per owner, one for the log.

A feed takes its bell, reads after its place, and waits for the bell when there was
nothing: what is committed in between has rung. A bell nobody holds is not kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID
from weakref import WeakValueDictionary

from service.eventstore.records import RecordedEvent

LOG = UUID(int=0)
"""The bell that every event rings."""


class Bells:
    """Rung by the tail, by watchers' read models, and at the end."""

    def __init__(self) -> None:
        self._bells: WeakValueDictionary[UUID, asyncio.Event] = WeakValueDictionary()
        self.ending: str | None = None
        self.resets = 0
        """How often the log turned out to have another history."""
        self.open = 0
        """Feeds that are open."""

    def of(self, key: UUID) -> asyncio.Event:
        """The next ring for this chat or owner; take it before reading."""
        bell = self._bells.get(key)
        if bell is None:
            bell = self._bells[key] = asyncio.Event()
        return bell

    def held(self) -> list[UUID]:
        """Whom somebody waits for."""
        return list(self._bells)

    def ring(self, key: UUID) -> None:
        """Wake who holds this bell; the next one is another."""
        bell = self._bells.pop(key, None)
        if bell is not None:
            bell.set()

    def on_events(self, events: Sequence[RecordedEvent]) -> None:
        """A page of the log came: rings its chats, and the log itself."""
        if self._bells:
            for key in {LOG, *(event.stream.stream_id for event in events)}:
                self.ring(key)

    def ring_all(self) -> None:
        """Wake everybody."""
        for key in self.held():
            self.ring(key)

    def end(self, reason: str) -> None:
        """Send everybody away, now and later: the process stops."""
        self.ending = reason
        self.ring_all()

    def reset(self) -> None:
        """Send all present feeds away: the log has another history."""
        self.resets += 1
        self.ring_all()
