"""Two turns in which all kinds of things happen: their model, and their user.

The model answers by what it is told, so it does not matter which worker asks. In the
first turn it calls two tools, has its history shortened, fails once, asks the client,
and answers; beside that it gives a title. In the second it says a word and falls
silent, until the user stops it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace

from pydantic import JsonValue

from service.domain.chat.state import ChatState
from service.domain.parts import TextPart
from service.domain.prompts import SUMMARY_PREFIX
from service.providers.provider import (
    Delta,
    Finish,
    ModelRequest,
    ProviderError,
    TextDelta,
    ToolCall,
    ToolSpec,
)
from service.providers.title import TITLE_INSTRUCTION
from service.tools.registry import Tool
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Client, Stack
from tests.integration.agent.clients import ASK, asks, submit
from tests.integration.agent.crew import Switchboard, Watch, a_model, rests, used

FULL = 900
"""Tokens, of the context's thousand."""


async def _look(_: Mapping[str, JsonValue]) -> JsonValue:
    return {"seen": "the sun"}


LOOK = Tool(ToolSpec("look", "Look out of the window.", {}), _look)


class Eventful:
    """The model."""

    name = "eventful"

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        for delta in _deltas(request):
            if isinstance(delta, Exception):
                raise delta
            yield delta
        if _text(request) == "go on":
            await asyncio.Event().wait()


def _deltas(request: ModelRequest) -> list[Delta | Exception]:
    if request.system == (TITLE_INSTRUCTION,):
        return [TextDelta("Noon"), used(5), Finish("stop")]
    if request.tool_choice == "none":
        return [TextDelta("the sun was seen"), used(FULL), Finish("stop")]
    if request.messages[-1].role == "tool":
        return [TextDelta("noon"), used(20), Finish("stop")]
    text = _text(request)
    if text.startswith(SUMMARY_PREFIX):
        if request.attempt == 1:
            return [ProviderError("overloaded", "busy", retryable=True)]
        return [ToolCall("c3", ASK.name, {"q": "?"}), used(10), Finish("tool_calls")]
    if text == "go on":
        return [TextDelta("well")]
    calls = [ToolCall("c1", "look", {}), ToolCall("c2", "look", {})]
    return [*calls, used(FULL), Finish("tool_calls")]


def _text(request: ModelRequest) -> str:
    part = request.messages[-1].parts[0]
    return part.text if isinstance(part, TextPart) else ""


def eventful() -> Switchboard:
    """For workers: the model, which is asked for titles too."""
    model = a_model(Eventful(), context_limit=1000)
    return Switchboard(replace(model, names_chats=True))


def named(state: ChatState) -> bool:
    return state.title_source == "model"


async def begin(stack: Stack) -> ChatByHand:
    return await ChatByHand.create(stack, "what time is it?", client_tools=(ASK,))


async def use(stack: Stack, watch: Watch, chat: ChatByHand, client: Client) -> None:
    """Do what the user does in these turns, and wait for their end."""
    await watch.until(chat.id, asks)
    await submit(stack, chat, c3="a clock")
    await watch.until(chat.id, rests)
    await chat.send("go on")
    await client.until(lambda c: any("well" in str(f.data) for f in c.frames))
    await chat.interrupt()
    await watch.until(chat.id, rests)
    await watch.until(chat.id, named)
