"""Fold events into state. Total: takes any event in any state, and never raises.

Invariants hold at append borders; between them (a queue item promoted one event after
the turn ended) a state may be one that no command ever sees.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import get_args

from service.domain.chat import evolve_history, evolve_metadata, evolve_turn
from service.domain.chat.copies import amend, replace
from service.domain.chat.evolve_history import message_of as message_of
from service.domain.chat.state import ChatState, Status
from service.domain.events.chat import ChatEvent
from service.domain.events.history import HistoryEvent
from service.domain.events.metadata import (
    ChatArchived,
    ChatUnarchived,
    MetadataEvent,
)
from service.domain.events.turn import TurnEvent

MOVING = ChatArchived | ChatUnarchived
"""What is about the chat, and moves it in the list nevertheless."""

QUIET = frozenset(get_args(MetadataEvent)) - frozenset(get_args(MOVING))
"""What is about the chat and leaves it at its place."""

FOLD_VERSION = 3
"""Goes up when the same events fold to another state; caches and snapshots name it."""


def fold(state: ChatState, events: Iterable[ChatEvent | None]) -> ChatState:
    """`state` after all the events, in order."""
    for event in events:
        state = evolve(state, event)
    return state


def evolve(state: ChatState, event: ChatEvent | None) -> ChatState:
    """The state one version on; None is an event whose content was erased."""
    version = state.version + 1
    if event is None:
        return replace(state, version=version)
    after = _apply(state, event, version)
    return amend(
        replace(after) if after is state else after,
        version=version,
        updated_at=_updated_at(after, event),
        last_error=after.last_error if after.status is Status.ERROR else None,
    )


def _updated_at(state: ChatState, event: ChatEvent) -> datetime | None:
    """When something last happened in the chat; the order of its owner's list.

    A chat that is read, pinned or renamed keeps its place.
    """
    if type(event) in QUIET:
        return state.updated_at
    # clocks of two replicas differ: a reading from behind does not move it back
    seen = state.updated_at
    return event.at if seen is None else max(seen, event.at)


def _apply(state: ChatState, event: ChatEvent, version: int) -> ChatState:
    if isinstance(event, HistoryEvent):
        return evolve_history.apply(state, event, version)
    if isinstance(event, TurnEvent):
        return evolve_turn.apply(state, event, version)
    return evolve_metadata.apply(state, event)
