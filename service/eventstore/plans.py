"""What a request changes: the decisions on one chat, or on several that go together.

A plan decides on whatever state it is given, cached or newest, and may be asked again
after a conflict. What it decides is appended as one request: all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from service.domain.chat.decide import decide
from service.domain.commands.chat import (
    ArchiveMember,
    ChatCommand,
    CreateChat,
    SpawnChild,
    UpdateChat,
)
from service.domain.events.chat import ChatEvent
from service.errors import Rejection
from service.eventstore import codec
from service.eventstore.fold import Fold, after_append
from service.eventstore.records import NewEvent, StreamResult

Load = Callable[[UUID], Awaitable[Fold]]
"""The state of a chat, as new as the one who asks wants it."""


@dataclass(frozen=True, slots=True)
class Change:
    """Events that follow a state of one chat; none: that state is left as it is."""

    chat_id: UUID
    before: Fold
    events: Sequence[ChatEvent]

    async def encode(self, metadata: Mapping[str, Any]) -> Sequence[NewEvent]:
        """The events as the log stores them."""
        return tuple(codec.encode(event, metadata) for event in self.events)

    def after(self, encoded: Sequence[NewEvent], result: StreamResult) -> Fold:
        """The state once they are appended."""
        return after_append(self.before, self.events, encoded, result)


Plan = list[Change] | Rejection
"""The first change is that of the chat whose result the caller gets."""


class Planner(Protocol):
    """A command, or several that belong together."""

    async def plan(self, load: Load) -> Plan:
        """Decide on the states that `load` gives."""
        ...


@dataclass(frozen=True, slots=True)
class One:
    """A command on one chat."""

    chat_id: UUID
    command: ChatCommand

    async def plan(self, load: Load) -> Plan:
        change = _change(self.chat_id, await load(self.chat_id), self.command)
        return change if isinstance(change, Rejection) else [change]


@dataclass(frozen=True, slots=True)
class Family:
    """The root goes to the archive, or comes back, and every child with it.

    A child that is where it belongs is not touched: who moves it also appends to the
    root, whose version this request names. A child that was erased has left.
    """

    root_id: UUID
    command: UpdateChat

    async def plan(self, load: Load) -> Plan:
        root = await load(self.root_id)
        changes = [_change(self.root_id, root, self.command)]
        archived = self.command.archived
        if archived is not None:
            member = ArchiveMember(
                now=self.command.now, actor=self.command.actor, archived=archived
            )
            for child_id in root.loaded.state.children:
                child = await load(child_id)
                if not child.is_erased:
                    changes.append(_change(child_id, child, member))
        return _all_or_nothing(changes)


@dataclass(frozen=True, slots=True)
class Spawn:
    """A root gets a child, which begins with its first message."""

    root_id: UUID
    child_id: UUID
    command: CreateChat
    actor: str

    async def plan(self, load: Load) -> Plan:
        root = await load(self.root_id)
        spawn = SpawnChild(
            now=self.command.now, actor=self.actor, child_id=self.child_id
        )
        spawned = _change(self.root_id, root, spawn)
        if isinstance(spawned, Rejection):
            return spawned
        state = root.loaded.state
        create = self.command.model_copy(
            update={
                "parent_chat_id": self.root_id,
                "root_chat_id": self.root_id,
                "organization_id": state.organization_id,
                "client_type": state.client_type,
            }
        )
        created = _change(self.child_id, await load(self.child_id), create)
        return _all_or_nothing([created, spawned])


def _change(chat_id: UUID, fold: Fold, command: ChatCommand) -> Change | Rejection:
    decision = decide(fold.loaded.state, command)
    if isinstance(decision, Rejection):
        return decision
    return Change(chat_id, fold, decision)


def _all_or_nothing(changes: Sequence[Change | Rejection]) -> Plan:
    """One refusal refuses them all."""
    made: list[Change] = []
    for change in changes:
        if isinstance(change, Rejection):
            return change
        made.append(change)
    return made
