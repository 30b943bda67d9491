"""What people take back or put forward: edits, and the order of the queue."""

from __future__ import annotations

from service.domain.chat.calls import REPLACED, cancel
from service.domain.chat.copies import replace
from service.domain.chat.metadata import plan_mode_changed
from service.domain.chat.queue import answers, promoted
from service.domain.chat.state import ChatState, QueuedMessage, Status
from service.domain.commands.chat import DeleteQueued, EditMessage, PromoteQueued
from service.domain.events.chat import (
    ChatEvent,
    HistoryTruncated,
    InterruptionFinished,
    InterruptRequested,
    MessageAppended,
    QueueCleared,
    QueueItemDeleted,
    QueueItemMoved,
    TurnSettings,
)
from service.errors import Rejection


def edit(state: ChatState, command: EditMessage) -> list[ChatEvent] | Rejection:
    target = state.messages.find(command.message_id)
    if target is None or target.visibility == "model":
        return Rejection("message-not-found", "the chat has no such message")
    if target.role != "user":
        return Rejection("not-a-user-message", "only a user's message can be edited")
    now, actor = command.now, str(command.sender_id)
    kept = replace(state, messages=state.messages.before(target.id))
    message = MessageAppended(
        at=now,
        role="user",
        visibility=target.visibility,
        parts=command.parts,
        created_by=command.sender_id,
        settings=_settings(target.settings, command.settings),
    )
    truncated = HistoryTruncated(at=now, from_id=target.id, actor=actor)
    cleared = [QueueCleared(at=now, actor=actor)] if state.queue else []
    wanted = command.settings.plan_mode if command.settings else None
    plan = plan_mode_changed(state, wanted, now, actor)
    return [*plan, truncated, *cleared, *answers(kept, now), message]


def delete_queued(
    state: ChatState, command: DeleteQueued
) -> list[ChatEvent] | Rejection:
    if _queued(state, command.queued_id) is None:
        return _not_queued()
    return [
        QueueItemDeleted(
            at=command.now, queued_id=command.queued_id, actor=command.actor
        )
    ]


def promote_queued(
    state: ChatState, command: PromoteQueued
) -> list[ChatEvent] | Rejection:
    item = _queued(state, command.queued_id)
    if item is None:
        return _not_queued()
    now, actor = command.now, command.actor
    moved: list[ChatEvent] = []
    if state.queue[0].id != item.id:
        moved = [QueueItemMoved(at=now, queued_id=item.id, actor=actor)]
    match state.status:
        case Status.RUNNING:
            requested = InterruptRequested(
                at=now, actor=actor, reason="queued message promoted"
            )
            return [*moved, requested]
        case Status.INTERRUPTING:
            return moved
        case Status.REQUIRES_ACTION:
            over = InterruptionFinished(at=now, turn_id=state.turn_id)
            waiting = cancel(state, REPLACED, now, actor=actor)
            return [*moved, *waiting, over, *promoted(_headed(state, item), now)]
        case _:
            head = promoted(_headed(state, item), now)
            return [*moved, *answers(state, now), *head]


def _settings(
    kept: TurnSettings | None, given: TurnSettings | None
) -> TurnSettings | None:
    """What was given, and what the old message had for the rest.

    But for the plan mode: that is the chat's, which may have another one by now.
    """
    wanted = given or TurnSettings()
    if kept is None:
        return given
    # a model's name means something to the config that it was given for
    other = wanted.model_config_id not in (None, kept.model_config_id)
    merged = TurnSettings(
        model=wanted.model or (None if other else kept.model),
        model_config_id=wanted.model_config_id or kept.model_config_id,
        reasoning_effort=wanted.reasoning_effort or kept.reasoning_effort,
        plan_mode=wanted.plan_mode,
    )
    return None if merged == TurnSettings() else merged


def _queued(state: ChatState, queued_id: int) -> QueuedMessage | None:
    return next((item for item in state.queue if item.id == queued_id), None)


def _headed(state: ChatState, item: QueuedMessage) -> ChatState:
    return replace(state, queue=(item, *(q for q in state.queue if q.id != item.id)))


def _not_queued() -> Rejection:
    return Rejection("queue-item-not-found", "the queue has no such message")
