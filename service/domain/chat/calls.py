"""Tool calls that wait for an answer, and answers for those that get no other one.

A call that the provider itself executed never waits. Ids may come again in a later
step, so a result answers the call before it, not every call of that name.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from pydantic import JsonValue

from service.domain.chat.state import ChatState, History, Message
from service.domain.commands.chat import ToolOutput
from service.domain.events.chat import (
    ChatEvent,
    MessageAppended,
    PendingCall,
    Role,
    ToolCallsCancelled,
)
from service.domain.parts import Part, ToolCallPart, ToolResultPart

REPLACED = "interrupted by new user message"
"""Result of a call that a new user message left behind."""

SENT_OVER = "interrupted by user message"
"""Result of a client's call when a message with `interrupt` arrives."""

STOPPED = "interrupted by user"
"""Result of a client's call when somebody interrupts without a reason."""

CUT_OFF: JsonValue = {"error": "tool call was interrupted before it produced a result"}
"""Result of a call that was running, or still being said, when the turn was cut."""


class Said(Protocol):
    """Whatever has a role and parts: a message, a draft, an event."""

    @property
    def role(self) -> Role: ...
    @property
    def parts(self) -> tuple[Part, ...]: ...


def since_last_user(messages: History) -> list[Message]:
    """The tail of the history from its last user message on; all if there is none."""
    first = len(messages)
    while first > 0:
        first -= 1
        if messages[first].role == "user":
            break
    return messages[first:]


def outstanding(messages: Iterable[Said]) -> list[ToolCallPart]:
    """Local calls among `messages` that no result answers, in their order."""
    waiting: dict[str, ToolCallPart] = {}
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolCallPart) and not part.provider_executed:
                waiting[part.tool_call_id] = part
        # after all calls: results inside an assistant message count, in any order
        for part in message.parts:
            if isinstance(part, ToolResultPart):
                waiting.pop(part.tool_call_id, None)
    return list(waiting.values())


def outstanding_calls(messages: History) -> list[ToolCallPart]:
    """The calls that must be answered before another user message may follow."""
    return outstanding(since_last_user(messages))


def clients_calls(state: ChatState) -> list[ToolCallPart]:
    """The outstanding calls of tools that a client of the chat runs."""
    return _calls_of(state, clients=True)


def our_calls(state: ChatState) -> list[ToolCallPart]:
    """The outstanding calls of tools that the worker runs, unknown ones too."""
    return _calls_of(state, clients=False)


def _calls_of(state: ChatState, *, clients: bool) -> list[ToolCallPart]:
    names = {tool.name for tool in state.client_tools}
    calls = outstanding_calls(state.messages)
    return [call for call in calls if (call.tool_name in names) is clients]


def answered(state: ChatState, reason: str, now: datetime) -> list[MessageAppended]:
    """An error for every outstanding call of the chat."""
    return answer(outstanding_calls(state.messages), result=reason, now=now)


def cancel(
    state: ChatState, reason: str, now: datetime, *, actor: str | None
) -> list[ChatEvent]:
    """Nobody waits for the client any more: its calls have errors for results."""
    calls = state.action.calls if state.action else ()
    cancelled = ToolCallsCancelled(
        at=now,
        tool_call_ids=tuple(call.tool_call_id for call in calls),
        reason=reason,
        actor=actor,
    )
    return [*answered(state, reason, now), cancelled]


def reply(call: PendingCall, output: ToolOutput, now: datetime) -> MessageAppended:
    """The tool message that a client's result becomes."""
    result = ToolResultPart(
        tool_call_id=call.tool_call_id,
        tool_name=call.tool_name,
        result=output.output,
        is_error=output.is_error,
        created_at=now,
    )
    return MessageAppended(at=now, role="tool", parts=(result,))


def answer(
    calls: Iterable[ToolCallPart], *, result: JsonValue, now: datetime
) -> list[MessageAppended]:
    """One tool message with an error result per call."""
    return [
        MessageAppended(
            at=now,
            role="tool",
            parts=(
                ToolResultPart(
                    tool_call_id=call.tool_call_id,
                    tool_name=call.tool_name,
                    result=result,
                    is_error=True,
                    created_at=now,
                ),
            ),
        )
        for call in calls
    ]
