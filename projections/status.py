"""The status that an event leaves a chat in, told by the event alone.

A projection does not read its own rows, so it cannot ask what the status was before.
Property tests hold this to the fold of the same events.
"""

from __future__ import annotations

from service.domain.chat.state import Status
from service.domain.events.chat import (
    ActionRequired,
    ChatEvent,
    ChatForked,
    CompactionRequested,
    InterruptionFinished,
    InterruptRequested,
    MessageAppended,
    StateReconciled,
    ToolCallsCancelled,
    ToolResultsSubmitted,
    TurnFailed,
    TurnFinished,
)

STATUS_TYPES = frozenset(
    {
        "action_required",
        "chat_forked",
        "compaction_requested",
        "message_appended",
        "state_reconciled",
        "tool_calls_cancelled",
        "tool_results_submitted",
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
        case ToolResultsSubmitted() | ToolCallsCancelled() | CompactionRequested():
            return Status.RUNNING
        case ActionRequired():
            return Status.REQUIRES_ACTION
        case InterruptRequested():
            # decide asks for it of a running chat only
            return Status.INTERRUPTING
        case InterruptionFinished() | TurnFinished() | ChatForked():
            return Status.WAITING
        case TurnFailed() | StateReconciled():
            return Status.ERROR
        case _:
            return None
