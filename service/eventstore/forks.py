"""Forks: a chat that begins as a copy of another one's events.

A copied event keeps its version, type, data and `at`, in the newest schema version. Its
metadata says who acted then, and its causation is the event that it is a copy of; id
and digest are its own, so neither chat's erasure touches the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service.domain.chat.decide import decide
from service.domain.chat.evolve import evolve
from service.domain.commands.chat import ForkChat
from service.domain.events.chat import ChatEvent
from service.errors import Rejection
from service.eventstore import codec
from service.eventstore.fold import EVENT_SIZE, Fold, Loaded
from service.eventstore.loader import Loader
from service.eventstore.past import Past
from service.eventstore.plans import Change, Load, Plan
from service.eventstore.records import (
    SLICE,
    NewEvent,
    RecordedEvent,
    StreamResult,
)

MOST_BYTES = 16 * 1024 * 1024
"""What a fork may copy, as `fold` estimates it: some 12,000 events, which have the log
to themselves for half a second on an idle machine, and more on a busy one."""


@dataclass(frozen=True, slots=True)
class Copy(Change):
    """The events of another chat, and the one that says so."""

    source: Fold
    """What the copied events fold to; the versions are the same."""
    source_id: UUID
    actors: Sequence[str | None]
    """Who acted, for each copied event."""

    async def encode(self, metadata: Mapping[str, Any]) -> Sequence[NewEvent]:
        encoded: list[NewEvent] = []
        for version, (event, actor) in enumerate(
            zip(self.events, self.actors, strict=False), 1
        ):
            source = {"actor": actor, "causation_id": f"{self.source_id}:{version}"}
            encoded.append(codec.encode(event, {**metadata, **source}))
            if version % SLICE == 0:
                await asyncio.sleep(0)
        return [*encoded, codec.encode(self.events[-1], metadata)]

    def after(self, encoded: Sequence[NewEvent], result: StreamResult) -> Fold:
        state = evolve(self.source.loaded.state, self.events[-1])
        loaded = Loaded(state, result.last_version, result.digest)
        return Fold(loaded, self.source.size + EVENT_SIZE)


class Fork:
    """Plans a copy of what `source_id` was at `version`."""

    def __init__(
        self,
        loader: Loader,
        past: Past,
        *,
        source_id: UUID,
        new_id: UUID,
        version: int | None,
        owner_id: UUID,
        actor: str,
        now: datetime,
    ) -> None:
        self._loader = loader
        self._past = past
        self._source_id = source_id
        self._new_id = new_id
        self._version = version
        self._owner_id = owner_id
        self._actor = actor
        self._now = now

    async def plan(self, load: Load) -> Plan:
        # one row read is cheap beside a copy that a retry would make in vain
        target = await self._loader.load(self._new_id)
        if target.loaded.state.exists:
            return Rejection("chat-exists", "a chat with this id exists already")
        events: list[ChatEvent] = []
        actors: list[str | None] = []

        def take(part: Sequence[RecordedEvent]) -> None:
            for recorded in part:
                if (event := codec.decode(recorded)) is not None:
                    events.append(event)
                    actors.append((recorded.metadata or {}).get("actor"))

        source = await self._past.read(
            self._source_id, self._version, take, most=MOST_BYTES
        )
        if isinstance(source, Rejection):
            return source
        decision = decide(target.loaded.state, self._command(source, events))
        if isinstance(decision, Rejection):
            return decision
        return [Copy(self._new_id, target, decision, source, self._source_id, actors)]

    def _command(self, source: Fold, events: list[ChatEvent]) -> ForkChat:
        organization_id = source.loaded.state.organization_id
        if organization_id is None:
            raise ValueError("a chat that exists has an organization")
        return ForkChat(
            now=self._now,
            actor=self._actor,
            source_chat_id=self._source_id,
            owner_id=self._owner_id,
            organization_id=organization_id,
            events=tuple(events),
        )
