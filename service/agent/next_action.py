"""What to do next in a chat, given its committed state. Pure; the order is the rule.

Nothing of a turn lives anywhere else: any worker that folds the same events comes to
the same action.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from service.domain.chat.calls import clients_calls, our_calls
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
class AskClient:
    """All that is open are calls of the client's tools: wait for it from now on."""


@dataclass(frozen=True, slots=True)
class AwaitClient:
    """The client has time until `deadline`; then its calls are answered for it."""

    deadline: datetime


@dataclass(frozen=True, slots=True)
class Compact:
    """Shorten the history, as somebody asked."""


@dataclass(frozen=True, slots=True)
class Generate:
    """Ask the model for the next assistant message, not before that time."""

    not_before: datetime | None = None


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


Action = (
    RunTools
    | AskClient
    | AwaitClient
    | Compact
    | Generate
    | EndTurn
    | EndInterruption
    | Nothing
)


def next_action(state: ChatState) -> Action:
    """The single next action of a turn."""
    if state.archived:
        return Nothing()
    match state.status:
        case Status.INTERRUPTING:
            return EndInterruption()
        case Status.RUNNING:
            return _running(state)
        case Status.REQUIRES_ACTION if state.action is not None:
            return AwaitClient(state.action.deadline)
        case _:
            return Nothing()


def _running(state: ChatState) -> Action:
    messages = state.messages
    if calls := our_calls(state):
        return RunTools(tuple(calls))
    if clients_calls(state):
        return AskClient()
    if state.compaction is not None:
        return Compact()
    last = _last_said(messages)
    if last is not None and last.role == "assistant":
        return EndTurn("complete")
    if _steps(messages) >= MAX_STEPS:
        return EndTurn("max_steps")
    return Generate(state.retry.retrying_at if state.retry else None)


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
