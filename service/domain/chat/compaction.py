"""The end of a compaction: a summary for the model, and what people see of it.

Three messages: the summary, which only the model sees, as if the user had said it; and
a call with its result, which only people see. The event after them moves the model's
view of the history.
"""

from __future__ import annotations

from pydantic import JsonValue

from service.domain.chat.calls import outstanding_calls
from service.domain.chat.refusals import stale
from service.domain.chat.state import ChatState
from service.domain.chat.workers import committed, open_episode
from service.domain.commands.chat import CommitCompaction
from service.domain.events.chat import (
    ChatEvent,
    HistoryCompacted,
    MessageAppended,
    Role,
    Visibility,
)
from service.domain.parts import Part, TextPart, ToolCallPart, ToolResultPart
from service.errors import Rejection

TOOL = "chat_summarized"
"""The name of the call that shows a compaction; no model ever makes it."""


def shown_call_id(epoch: int, attempt: int) -> str:
    """The id of that call: the same in the preview and in the history."""
    return f"{TOOL}_{epoch}_{attempt}"


def commit(state: ChatState, command: CommitCompaction) -> list[ChatEvent] | Rejection:
    episode = open_episode(state, command.attempt, "compaction")
    if isinstance(episode, Rejection):
        return episode
    if outstanding_calls(state.messages):
        # they would end before the summary, and no result would ever find them
        return stale("calls are open that have no result yet")
    compacted = HistoryCompacted(
        at=command.now,
        summary_id=state.version + 1,
        source=command.source,
        threshold_percent=command.threshold_percent,
        context_tokens=command.context_tokens,
        context_limit=command.context_limit,
    )
    call, result = _shown(command)
    return [
        _message(command, "user", "model", TextPart(text=command.summary)),
        _message(command, "assistant", "user", call),
        _message(command, "tool", "user", result),
        compacted,
        committed(command, "compaction"),
    ]


def _message(
    command: CommitCompaction, role: Role, visibility: Visibility, part: Part
) -> MessageAppended:
    return MessageAppended(
        at=command.now,
        role=role,
        visibility=visibility,
        parts=(part,),
        epoch=command.epoch,
        attempt=command.attempt,
    )


def _shown(command: CommitCompaction) -> tuple[ToolCallPart, ToolResultPart]:
    call_id = shown_call_id(command.epoch, command.attempt)
    args: dict[str, JsonValue] = {"source": command.source}
    if command.threshold_percent is not None:
        args["threshold_percent"] = command.threshold_percent
    result: dict[str, JsonValue] = {"summary": command.shown, **args}
    tokens, limit = command.context_tokens, command.context_limit
    if tokens is not None:
        result["context_tokens"] = tokens
    if limit is not None:
        result["context_limit_tokens"] = limit
    if tokens is not None and limit:
        result["usage_percent"] = round(tokens / limit * 100, 1)
    call = ToolCallPart(
        tool_call_id=call_id, tool_name=TOOL, args=args, created_at=command.now
    )
    answer = ToolResultPart(
        tool_call_id=call_id, tool_name=TOOL, result=result, created_at=command.now
    )
    return call, answer
