"""The queue: what it holds at most, and how its head enters the history."""

from __future__ import annotations

from service.domain.chat.calls import REPLACED, answered
from service.domain.chat.state import ChatState, QueuedMessage
from service.domain.events.chat import MessageAppended
from service.domain.times import Instant

MAX_QUEUED = 20
"""Messages that may wait in one chat; more than a person queues by hand."""


def promote(state: ChatState, now: Instant) -> list[MessageAppended]:
    """The head of the queue as a message, after answers to what is still open."""
    return [*answers(state, now), *promoted(state, now)] if state.queue else []


def promoted(state: ChatState, now: Instant) -> list[MessageAppended]:
    """The head of the queue alone; for who has answered what is open."""
    return [_from_queue(item, now) for item in state.queue[:1]]


def answers(state: ChatState, now: Instant) -> list[MessageAppended]:
    """Answers to the calls that a new user message leaves behind."""
    return answered(state, REPLACED, now)


def _from_queue(item: QueuedMessage, now: Instant) -> MessageAppended:
    return MessageAppended(
        at=now,
        role="user",
        parts=item.parts,
        created_by=item.created_by,
        settings=item.settings,
        queued_id=item.id,
    )
