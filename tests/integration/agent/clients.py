"""Chats whose client runs tools, and what clients do."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from service.domain.chat.state import ChatState, Status
from service.domain.commands.chat import SubmitToolResults, ToolOutput
from service.domain.events.chat import ClientTool
from service.domain.parts import ToolResultPart
from service.providers.provider import Delta, Finish, TextDelta, ToolCall
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Stack

ASK = ClientTool(
    name="ask_person",
    description="Ask a person.",
    input_schema={"type": "object", "properties": {}},
)

ASKING: list[Delta | Exception] = [
    ToolCall("c1", "ask_person", {"q": "why"}),
    Finish("tool_calls"),
]
SO: list[Delta | Exception] = [TextDelta("so"), Finish("stop")]


async def chat_with_client(stack: Stack, text: str = "hello") -> ChatByHand:
    return await ChatByHand.create(stack, text, client_tools=(ASK,))


async def submit(
    stack: Stack, chat: ChatByHand, **outputs: JsonValue | Mapping[str, JsonValue]
) -> None:
    results = tuple(
        ToolOutput(tool_call_id=call_id, output=value)
        for call_id, value in outputs.items()
    )
    await chat.execute(
        SubmitToolResults(now=stack.now(), actor="test", results=results)
    )


def asks(state: ChatState) -> bool:
    return state.status is Status.REQUIRES_ACTION


def results(state: ChatState) -> list[tuple[str, JsonValue, bool]]:
    """All results in the history, in order."""
    return [
        (part.tool_call_id, part.result, part.is_error)
        for message in state.messages
        for part in message.parts
        if isinstance(part, ToolResultPart)
    ]
