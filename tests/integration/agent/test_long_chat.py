"""A long chat, folded from its log by another process, asks byte for byte the same."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from service.db.pool import Database
from service.domain.events.chat import HistoryCompacted, TurnSettings
from tests.fixtures.anthropic_server import AnthropicServer
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.model_servers import Asked, ModelServer
from tests.fixtures.moves import (
    Finish,
    Say,
)
from tests.fixtures.responses_server import ResponsesServer
from tests.fixtures.stack import Stack
from tests.integration.agent.clients import ASK
from tests.integration.agent.crew import Watch, hand, history, types
from tests.integration.agent.long_chat import FULL, LongChat
from tests.integration.agent.two_vendors import (
    FIRST,
    SECOND,
    SOURCES,
    two_vendors,
)

ROOT = Path(__file__).parents[3]
PATIENCE_S = 300.0


class Records(ModelServer):
    """Keeps the bytes of each request that was taken."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.bodies: list[bytes] = []

    def checked(self, headers: Mapping[str, str], body: bytes) -> Asked:
        asked = super().checked(headers, body)
        self.bodies.append(body)
        return asked


class OpenAI(Records, ResponsesServer):
    """The vendor that the chat begins with."""


class Anthropic(Records, AnthropicServer):
    """The one that it goes on with."""


@pytest.mark.parametrize(
    "turns",
    [40, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
)
async def test_it_asks_the_same_bytes_again(
    stack: Stack, watch: Watch, database: Database, turns: int
) -> None:
    """Tools, edits, interrupts, two vendors, a summary by each."""
    async with (
        OpenAI() as openai,
        Anthropic() as anthropic,
        two_vendors(openai.url, anthropic.url) as models,
        hand(stack, models=models, sources=SOURCES),
    ):
        chat = await _begin(stack, openai)
        long = LongChat(stack, watch, chat)
        long.server = openai
        await long.rest()
        await long.talk(turns // 4)
        await long.tools(FULL)
        await long.talk(turns // 4)
        long.server = anthropic
        long.says("Here I am.")
        await long.send("hello, other one", model_config_id=SECOND)
        await long.rest()
        await long.talk(turns // 4)
        await long.compacted()
        await long.talk(turns // 4)
        live = [list(openai.bodies), list(anthropic.bodies)]
        await _told_again(database, chat.id, openai.url, anthropic.url)
    again = [openai.bodies[len(live[0]) :], anthropic.bodies[len(live[1]) :]]
    assert [len(told) for told in again] == [len(told) for told in live]
    for before, after in zip(live, again, strict=True):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            assert one == other, f"request {number}"
    events = await history(stack, chat.id)
    sources = [e.source for e in events if isinstance(e, HistoryCompacted)]
    assert sources == ["automatic", "manual"]
    told = Counter(types(events))
    ended = told["turn_finished"] + told["interruption_finished"]
    assert ended >= turns
    size = sum(map(len, live))
    print(f"{ended} turns, {size} requests, {len(events)} events")  # noqa: T201


async def _begin(stack: Stack, server: ModelServer) -> ChatByHand:
    server.answer(Say(("Hello.",)), Finish())
    return await ChatByHand.create(
        stack,
        "hello",
        client_tools=(ASK,),
        system_prompt="You are a pirate.",
        deployment_prompt="Never mention the weather.",
        default_prompt=1,
        settings=TurnSettings(model_config_id=FIRST),
    )


async def _told_again(database: Database, chat_id: UUID, *urls: str) -> None:
    """In a process of its own, with other hashes and no caches."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.agent.two_vendors",
        database.dsn,
        database.role_prefix,
        str(chat_id),
        *urls,
        cwd=ROOT,
    )
    async with asyncio.timeout(PATIENCE_S):
        assert await process.wait() == 0
