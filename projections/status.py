"""The status that an event leaves a chat in, told by the event alone.

A projection does not read its own rows, so it cannot ask what the status was before.
Property tests hold this to the fold of the same events.
"""

from __future__ import annotations

from service.domain.chat.state import Status
from service.domain.events.chat import (
    ChatEvent,
    InterruptionFinished,
    InterruptRequested,
    MessageAppended,
    TurnFailed,
    TurnFinished,
)

STATUS_TYPES = frozenset(
    {
        "message_appended",
        "interrupt_requested",
        "interruption_finished",
        "turn_finished",
        "turn_failed",
    }
)
"""The types that `status_after` has an answer for."""


def status_after(event: ChatEvent) -> Status | None:
    """The status after `event`; None when it stays what it was."""
    match event:
        case MessageAppended(role="user", visibility="user" | "both"):
            return Status.RUNNING
        case InterruptRequested():
            return Status.INTERRUPTING
        case InterruptionFinished() | TurnFinished():
            return Status.WAITING
        case TurnFailed():
            return Status.ERROR
        case _:
            return None
