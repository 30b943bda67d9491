"""What tests of compaction have in common: what models say, and how to look at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.domain.chat.state import ChatState
from service.domain.commands.chat import (
    RequestCompaction,
)
from service.domain.events.chat import (
    HistoryCompacted,
)
from service.domain.prompts import SUMMARY_INSTRUCTION
from service.providers.provider import (
    BlockEnd,
    Finish,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCall,
)
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Stack
from tests.integration.agent.crew import (
    Said,
    Switchboard,
    a_model,
    history,
    rests,
    texts,
    used,
)

LIMIT = 1000
SUMMARY = "what was said so far"


def answers(text: str, tokens: int = 10) -> Said:
    return [TextDelta(text), used(tokens), Finish("stop")]


def calls(tokens: int, call_id: str = "c1") -> Said:
    return [ToolCall(call_id, "clock", {}), used(tokens), Finish("tool_calls")]


def sums_up(text: str = SUMMARY) -> Said:
    return [
        ReasoningDelta("what matters?"),
        BlockEnd(),
        TextDelta(f"\n {text} "),
        used(500),
        Finish("stop", {"id": "r1"}),
    ]


def board(provider: Any, **fields: Any) -> Switchboard:
    return Switchboard(a_model(provider, context_limit=LIMIT, **fields))


def settled(state: ChatState) -> bool:
    return rests(state) and not state.queue


async def compact(stack: Stack, chat: ChatByHand) -> None:
    await chat.execute(RequestCompaction(now=stack.now(), actor="test"))


async def compacted(stack: Stack, chat: ChatByHand) -> HistoryCompacted:
    events = await history(stack, chat.id)
    (event,) = [e for e in events if isinstance(e, HistoryCompacted)]
    return event


def asked(request: ModelRequest) -> list[str]:
    """The texts of a request."""
    return [
        part.text
        for message in request.messages
        for part in message.parts
        if part.type == "text"
    ]


def is_summary(request: ModelRequest) -> bool:
    return asked(request)[-1:] == [SUMMARY_INSTRUCTION]


def answered(state: ChatState) -> list[str]:
    """What the model said, without what only shows a compaction."""
    return [text for text in texts(state) if text]


def settled_after(before: ChatState) -> Callable[[ChatState], bool]:
    return lambda state: settled(state) and state.version > before.version + 1
