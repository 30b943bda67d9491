"""What people ask of a chat: create, send, interrupt."""

from __future__ import annotations

from service.domain.chat.calls import SENT_OVER, STOPPED, answer, outstanding_calls
from service.domain.chat.queue import MAX_QUEUED, answers, promote
from service.domain.chat.state import ChatState, Status
from service.domain.commands.chat import CreateChat, Interrupt, SendMessage
from service.domain.events.chat import (
    ChatCreated,
    ChatEvent,
    InterruptRequested,
    MessageAppended,
    MessageQueued,
)
from service.domain.parts import TextPart
from service.domain.times import Instant
from service.errors import Rejection


def create(command: CreateChat) -> list[ChatEvent]:
    now = command.now
    created = ChatCreated(
        at=now,
        organization_id=command.organization_id,
        owner_id=command.owner_id,
        title=command.title,
        client_type=command.client_type,
        labels=command.labels,
    )
    message = MessageAppended(
        at=now,
        role="user",
        parts=command.parts,
        created_by=command.owner_id,
        settings=command.settings,
    )
    return [created, *_system_prompt(command), message]


def send(state: ChatState, command: SendMessage) -> list[ChatEvent] | Rejection:
    if not state.queue and state.status in (Status.WAITING, Status.ERROR):
        message = MessageAppended(
            at=command.now,
            role="user",
            parts=command.parts,
            created_by=command.sender_id,
            settings=command.settings,
        )
        return [*answers(state, command.now), message]
    if len(state.queue) >= MAX_QUEUED:
        detail = f"the queue holds its maximum of {MAX_QUEUED} messages"
        return Rejection("queue-full", f"{detail}; wait until the chat takes one")
    queued = MessageQueued(
        at=command.now,
        parts=command.parts,
        created_by=command.sender_id,
        settings=command.settings,
        busy_behavior=command.busy_behavior,
    )
    if state.status is Status.ERROR:
        return [queued, *promote(state, command.now)]
    return _send_busy(state, command, queued)


def interrupt(state: ChatState, command: Interrupt) -> list[ChatEvent]:
    requested = InterruptRequested(
        at=command.now, actor=command.actor, reason=command.reason
    )
    reason = command.reason or STOPPED
    return [*_cancel_client_calls(state, reason, command.now), requested]


def _system_prompt(command: CreateChat) -> list[MessageAppended]:
    if not command.system_prompt:
        return []
    parts = (TextPart(text=command.system_prompt),)
    return [
        MessageAppended(at=command.now, role="system", visibility="model", parts=parts)
    ]


def _send_busy(
    state: ChatState, command: SendMessage, queued: MessageQueued
) -> list[ChatEvent]:
    if command.busy_behavior == "queue" or state.status is Status.INTERRUPTING:
        return [queued]
    requested = InterruptRequested(
        at=command.now, actor=str(command.sender_id), reason="new user message"
    )
    return [*_cancel_client_calls(state, SENT_OVER, command.now), queued, requested]


def _cancel_client_calls(
    state: ChatState, reason: str, now: Instant
) -> list[MessageAppended]:
    if state.status is not Status.REQUIRES_ACTION:
        return []
    return answer(outstanding_calls(state.messages), result=reason, now=now)
