"""The fold of what was said: messages, the queue, edits and forks."""

from __future__ import annotations

from typing import Any, assert_never

from service.domain.chat.copies import replace
from service.domain.chat.state import ChatState, Message, QueuedMessage, Status
from service.domain.events.base import PlanMode
from service.domain.events.history import (
    ChatCreated,
    ChatForked,
    HistoryEvent,
    HistoryTruncated,
    MessageAppended,
    MessageQueued,
    QueueCleared,
    QueueItemDeleted,
    QueueItemMoved,
)


def apply(state: ChatState, event: HistoryEvent, version: int) -> ChatState:
    """The state after `event`, which has this version."""
    match event:
        case ChatCreated():
            return _created(state, event)
        case MessageAppended():
            return _appended(state, event, version)
        case MessageQueued():
            return _queued(state, event, version)
        case QueueItemDeleted(queued_id=queued_id):
            queue = _without(state.queue, queued_id)
            return replace(state, queue=queue, compaction=None)
        case QueueItemMoved(queued_id=queued_id):
            queue = _headed_by(state.queue, queued_id)
            return replace(state, queue=queue, compaction=None)
        case QueueCleared():
            return replace(state, queue=())
        case HistoryTruncated():
            return _truncated(state, event, version)
        case ChatForked():
            return _forked(state, event, version)
        case _:
            assert_never(event)


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
        model_config_id=event.model_config_id,
        usage=event.usage,
    )


def _created(state: ChatState, event: ChatCreated) -> ChatState:
    return replace(
        state,
        organization_id=event.organization_id,
        owner_id=event.owner_id,
        title=event.title,
        title_source=event.title_source,
        client_type=event.client_type,
        labels=event.labels,
        parent_chat_id=event.parent_chat_id,
        root_chat_id=event.root_chat_id,
        plan_mode=event.plan_mode,
        client_tools=event.client_tools,
        default_prompt=event.default_prompt,
        deployment_prompt=event.deployment_prompt,
        created_at=event.at,
    )


def _appended(state: ChatState, event: MessageAppended, version: int) -> ChatState:
    state = replace(
        state,
        messages=state.messages.append(message_of(event, version)),
        queue=_without(state.queue, event.queued_id),
        epoch=version,
        attempt=0,
        retry=None,
        first_unread=_unread(state, event, version),
    )
    if event.role != "user" or event.visibility == "model":
        return state
    return replace(
        state,
        status=Status.RUNNING,
        turn_id=version,
        turn_plan_mode=_plan_mode(state, event),
        action=None,
        compaction=None,
        **_model(state, event),
    )


def _model(state: ChatState, event: MessageAppended) -> dict[str, Any]:
    """The model that the message asks for is the chat's from here on."""
    wanted = event.settings.model_config_id if event.settings is not None else None
    if wanted is None or wanted == state.model_config_id:
        return {}
    return {"model_config_id": wanted, "context_limit": None}


def _plan_mode(state: ChatState, event: MessageAppended) -> PlanMode:
    """What the message asks for, which it may have done long ago; else the chat's."""
    wanted = event.settings.plan_mode if event.settings is not None else None
    return state.plan_mode if wanted is None else wanted


def _unread(state: ChatState, event: MessageAppended, version: int) -> int | None:
    answers = event.role == "assistant" and event.visibility == "both"
    if answers and state.first_unread is None:
        return version
    return state.first_unread


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


def _headed_by(
    queue: tuple[QueuedMessage, ...], queued_id: int
) -> tuple[QueuedMessage, ...]:
    head = tuple(item for item in queue if item.id == queued_id)
    return (*head, *_without(queue, queued_id))


def _queued(state: ChatState, event: MessageQueued, version: int) -> ChatState:
    item = QueuedMessage(
        id=version,
        parts=event.parts,
        created_at=event.at,
        created_by=event.created_by,
        settings=event.settings,
    )
    return replace(state, queue=(*state.queue, item))


def _truncated(state: ChatState, event: HistoryTruncated, version: int) -> ChatState:
    unread = state.first_unread
    return replace(
        state,
        messages=state.messages.before(event.from_id),
        summaries=tuple(s for s in state.summaries if s < event.from_id),
        # what was seen stays seen, also when it is no longer there
        first_unread=None if unread is None or unread >= event.from_id else unread,
        epoch=version,
        attempt=0,
        turn_id=None,
        episode=None,
        retry=None,
        action=None,
        compaction=None,
    )


def _forked(state: ChatState, event: ChatForked, version: int) -> ChatState:
    return replace(
        state,
        organization_id=event.organization_id,
        owner_id=event.owner_id,
        origin=event.origin,
        parent_chat_id=None,
        root_chat_id=None,
        children=(),
        created_at=event.at,
        archived=False,
        pin_key=None,
        # everything that was copied has been seen
        read_up_to=event.origin.version,
        first_unread=None,
        status=Status.WAITING,
        queue=(),
        epoch=version,
        attempt=0,
        turn_id=None,
        episode=None,
        retry=None,
        action=None,
        compaction=None,
        context_limit=None,
        holder=None,
    )
