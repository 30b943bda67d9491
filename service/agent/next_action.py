"""What to do next in a chat, given its committed state. Pure; the order is the rule.

Nothing of a turn lives anywhere else: any worker that folds the same events comes to
the same action.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.domain.chat.calls import outstanding_calls
from service.domain.chat.state import ChatState, History, Message, Status
from service.domain.events.chat import FinishReason
from service.domain.parts import ToolCallPart

MAX_STEPS = 1200
"""Assistant messages in a turn; a model that has not come to an end by then loops."""


@dataclass(frozen=True, slots=True)
class RunTools:
    """Run these calls, all together, and commit their results in this order."""

    calls: tuple[ToolCallPart, ...]


@dataclass(frozen=True, slots=True)
class Generate:
    """Ask the model for the next assistant message."""


@dataclass(frozen=True, slots=True)
class EndTurn:
    """The turn is complete."""

    reason: FinishReason


@dataclass(frozen=True, slots=True)
class EndInterruption:
    """Keep what the cut-off attempt had said, and end the turn."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """No worker is needed."""


Action = RunTools | Generate | EndTurn | EndInterruption | Nothing


def next_action(state: ChatState) -> Action:
    """The single next action of a turn."""
    if state.archived:
        return Nothing()
    match state.status:
        case Status.INTERRUPTING:
            return EndInterruption()
        case Status.RUNNING:
            return _running(state.messages)
        case _:
            return Nothing()


def _running(messages: History) -> Action:
    calls = outstanding_calls(messages)
    if calls:
        return RunTools(tuple(calls))
    last = _last_said(messages)
    if last is not None and last.role == "assistant":
        return EndTurn("complete")
    if _steps(messages) >= MAX_STEPS:
        return EndTurn("max_steps")
    return Generate()


def _last_said(messages: History) -> Message | None:
    """The newest message that the model sees."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].visibility != "user":
            return messages[index]
    return None


def _steps(messages: History) -> int:
    """Assistant messages since the visible user message that began the turn."""
    steps = 0
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message.role == "user" and message.visibility != "model":
            break
        steps += message.role == "assistant"
    return steps
