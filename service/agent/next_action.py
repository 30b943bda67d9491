"""What to do next in a chat, given its committed state. Pure; the order is the rule.

Nothing of a turn lives anywhere else: any worker that folds the same events comes to
the same action.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from service.domain.chat.calls import clients_calls, our_calls
from service.domain.chat.context import answers_since, context_tokens
from service.domain.chat.state import ChatState, History, Message, Status
from service.domain.events.chat import ChatError, CompactionSource, FinishReason
from service.domain.parts import ToolCallPart, ToolResultPart

MAX_STEPS = 1200
"""Assistant messages in a turn; a model that has not come to an end by then loops."""

NEVER = 100
"""A threshold that no prompt reaches."""

STILL_FULL = ChatError(
    kind="config",
    message="a summary did not make the chat short enough for its model; have it "
    "summed up once more, raise the context limit or the threshold of the model, or go "
    "on in a new chat",
)


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
    """Shorten the history, not before that time."""

    source: CompactionSource
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Generate:
    """Ask the model for the next assistant message, not before that time."""

    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class EndTurn:
    """The turn is complete."""

    reason: FinishReason


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The turn cannot go on."""

    error: ChatError


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
    | GiveUp
    | EndInterruption
    | Nothing
)


@dataclass(frozen=True, slots=True)
class Window:
    """How long prompts of the turn's model may be, and when to shorten them."""

    limit: int
    """Tokens."""
    threshold_percent: int
    """Of the limit; 100: never."""

    def full(self, tokens: int | None) -> bool:
        """Whether a prompt of so many tokens is too long to go on with."""
        if not tokens or self.limit <= 0 or self.threshold_percent >= NEVER:
            return False
        return tokens * 100 >= self.limit * self.threshold_percent


@dataclass(frozen=True, slots=True)
class Rules:
    """What besides the chat decides: its model's window, and tools that end a turn."""

    window: Window | None = None
    stop_after: frozenset[str] = frozenset()
    """A turn is over once one of these tools has succeeded in it."""


NO_RULES = Rules()


def next_action(state: ChatState, rules: Rules = NO_RULES) -> Action:
    """The single next action of a turn."""
    if state.archived:
        return Nothing()
    match state.status:
        case Status.INTERRUPTING:
            return EndInterruption()
        case Status.RUNNING:
            return _running(state, rules)
        case Status.REQUIRES_ACTION if state.action is not None:
            return AwaitClient(state.action.deadline)
        case _:
            return Nothing()


def _running(state: ChatState, rules: Rules) -> Action:
    if calls := our_calls(state):
        return RunTools(tuple(calls))
    if clients_calls(state):
        return AskClient()
    retrying_at = state.retry.retrying_at if state.retry else None
    if state.compaction is not None:
        return Compact("manual", retrying_at)
    return _ended(state, rules) or _goes_on(state, rules, retrying_at)


def _ended(state: ChatState, rules: Rules) -> Action | None:
    """Why the turn is over, if it is."""
    if state.turn_id is None:
        # somebody asked for nothing but a shorter history
        return EndTurn("complete")
    if rules.stop_after and _stopped(state.messages, rules.stop_after):
        return EndTurn("stop_tool")
    last = _last_said(state.messages)
    if last is not None and last.role == "assistant":
        return EndTurn("complete")
    if _steps(state.messages) >= MAX_STEPS:
        return EndTurn("max_steps")
    return None


def _goes_on(
    state: ChatState, rules: Rules, retrying_at: datetime | None
) -> Compact | GiveUp | Generate:
    window = rules.window
    if window is None or not window.full(context_tokens(state)):
        return Generate(retrying_at)
    if state.summaries and answers_since(state, state.summary_id) == 1:
        # the prompt right after the summary was too long already
        return GiveUp(STILL_FULL)
    return Compact("automatic", retrying_at)


def _last_said(messages: History) -> Message | None:
    """The newest message that the model sees."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].visibility != "user":
            return messages[index]
    return None


def _steps(messages: History) -> int:
    """Answers of the model since the visible user message that began the turn."""
    return sum(
        message.role == "assistant" and message.visibility != "user"
        for message in _turn(messages)
    )


def _stopped(messages: History, stop_after: frozenset[str]) -> bool:
    return any(
        isinstance(part, ToolResultPart)
        and part.tool_name in stop_after
        and not part.is_error
        for message in _turn(messages)
        if message.role == "tool"
        for part in message.parts
    )


def _turn(messages: History) -> Iterator[Message]:
    """The messages since the visible user message that began the turn, newest first."""
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message.role == "user" and message.visibility != "model":
            break
        yield message
