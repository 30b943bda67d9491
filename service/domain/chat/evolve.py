"""Fold events into state. Total: takes any event in any state, and never raises.

Invariants hold at append borders; between them (a queue item promoted one event after
the turn ended) a state may be one that no command ever sees.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from service.domain.chat.state import (
    ChatState,
    Episode,
    Holder,
    Message,
    QueuedMessage,
    Status,
)
from service.domain.events.chat import (
    ChatCreated,
    ChatEvent,
    GenerationAttemptStarted,
    InterruptionFinished,
    InterruptRequested,
    MessageAppended,
    MessageQueued,
    RunAbandoned,
    RunAcquired,
    StepCommitted,
    TurnFailed,
    TurnFinished,
)

FOLD_VERSION = 1
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
    state = _apply(state, event, version)
    seen = state.updated_at
    return replace(
        state,
        version=version,
        # clocks of two replicas differ: a reading from behind does not move it back
        updated_at=event.at if seen is None else max(seen, event.at),
        last_error=state.last_error if state.status is Status.ERROR else None,
    )


def message_of(event: MessageAppended, version: int) -> Message:
    """The message that this event, at this version, put into the history."""
    return Message(
        id=version,
        role=event.role,
        visibility=event.visibility,
        parts=event.parts,
        created_at=event.at,
        created_by=event.created_by,
        settings=event.settings,
        queued_id=event.queued_id,
        replaces=_replaced(event),
    )


def _apply(state: ChatState, event: ChatEvent, version: int) -> ChatState:
    match event:
        case ChatCreated():
            return _created(state, event)
        case MessageAppended():
            return _appended(state, event, version)
        case MessageQueued():
            return _queued(state, event, version)
        case RunAcquired():
            holder = Holder(event.worker, event.term)
            return replace(state, holder=holder, term=max(state.term, event.term))
        case RunAbandoned():
            return replace(state, holder=None)
        case GenerationAttemptStarted():
            return _attempt_started(state, event, version)
        case StepCommitted():
            return replace(state, episode=None)
        case InterruptRequested():
            return replace(state, status=_interrupted(state.status))
        case InterruptionFinished() | TurnFinished():
            return _turn_over(state, Status.WAITING)
        case TurnFailed():
            return replace(_turn_over(state, Status.ERROR), last_error=event.error)
        case _:
            assert_never(event)


def _created(state: ChatState, event: ChatCreated) -> ChatState:
    return replace(
        state,
        organization_id=event.organization_id,
        owner_id=event.owner_id,
        title=event.title,
        client_type=event.client_type,
        labels=event.labels,
        parent_chat_id=event.parent_chat_id,
        root_chat_id=event.root_chat_id,
        created_at=event.at,
    )


def _appended(state: ChatState, event: MessageAppended, version: int) -> ChatState:
    begins_turn = event.role == "user" and event.visibility != "model"
    return replace(
        state,
        messages=state.messages.append(message_of(event, version)),
        queue=_without(state.queue, event.queued_id),
        epoch=version,
        attempt=0,
        status=Status.RUNNING if begins_turn else state.status,
        turn_id=version if begins_turn else state.turn_id,
    )


def _replaced(event: MessageAppended) -> tuple[int, int] | None:
    if event.epoch is None or event.attempt is None:
        return None
    return event.epoch, event.attempt


def _without(
    queue: tuple[QueuedMessage, ...], queued_id: int | None
) -> tuple[QueuedMessage, ...]:
    if queued_id is None:
        return queue
    return tuple(item for item in queue if item.id != queued_id)


def _queued(state: ChatState, event: MessageQueued, version: int) -> ChatState:
    item = QueuedMessage(
        id=version,
        parts=event.parts,
        created_at=event.at,
        created_by=event.created_by,
        settings=event.settings,
    )
    return replace(state, queue=(*state.queue, item))


def _attempt_started(
    state: ChatState, event: GenerationAttemptStarted, version: int
) -> ChatState:
    episode = Episode(
        epoch=event.epoch,
        attempt=event.attempt,
        kind=event.kind,
        version=version,
        started_at=event.at,
    )
    return replace(state, episode=episode, attempt=event.attempt)


def _interrupted(status: Status) -> Status:
    if status is Status.RUNNING:
        return Status.INTERRUPTING
    if status is Status.REQUIRES_ACTION:
        # nothing runs that could be cut off: the model goes on, its calls cancelled
        return Status.RUNNING
    return status


def _turn_over(state: ChatState, status: Status) -> ChatState:
    return replace(state, status=status, turn_id=None, episode=None)
