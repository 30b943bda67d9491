"""A long chat, folded from its log by another process, asks byte for byte the same."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from service.db.pool import Database
from service.domain.commands.chat import EditMessage, SendMessage
from service.domain.events.chat import HistoryCompacted, TurnSettings
from service.domain.parts import FilePart, FileReferencePart, TextPart
from tests.builders import OWNER
from tests.fixtures.anthropic_server import AnthropicServer
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.model_servers import Asked, ModelServer
from tests.fixtures.moves import (
    Call,
    Finish,
    Interleaved,
    Move,
    Page,
    Say,
    Search,
    Think,
    Tokens,
    Wait,
)
from tests.fixtures.responses_server import ResponsesServer
from tests.fixtures.stack import Stack
from tests.integration.agent.clients import ASK, asks, submit
from tests.integration.agent.crew import Watch, hand, history, rests, types
from tests.integration.agent.two_vendors import (
    FIRST,
    PICTURE,
    SECOND,
    SOURCES,
    two_vendors,
)

ROOT = Path(__file__).parents[3]
PATIENCE_S = 300.0
PAGE = Page("https://example.org/noon", "Noon")
BUSY = "too many requests at once"
LITTLE = Tokens()
FULL = Tokens(input=900)
"""So near the context limit that a summary is due."""


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


class LongChat:
    """Its user, its client, and what the models say to it."""

    def __init__(self, stack: Stack, watch: Watch, chat: ChatByHand) -> None:
        self.stack = stack
        self.watch = watch
        self.chat = chat
        self.server: ModelServer
        self.done: Counter[str] = Counter()
        self._calls = 0

    @property
    def turns(self) -> int:
        return self.done.total()

    async def talk(self, turns: int) -> None:
        """So many more turns, of all kinds in turn."""
        kinds = [
            self.plain, self.tools, self.search, self.edited, self.client, self.cut,
            self.retried, self.planned, self.picture, self.queued, self.redone,
            self.silenced, self.sent_now,
        ]  # fmt: skip
        end = self.turns + turns
        while self.turns < end:
            kind = kinds[self.turns % len(kinds)]
            await kind()
            self.done[kind.__name__] += 1

    async def plain(self) -> None:
        self.says("That is so.")
        await self.send("is it so?", reasoning_effort="high")
        await self.rest()

    async def tools(self, tokens: Tokens = LITTLE) -> None:
        self.calls("clock", "clock", tokens=tokens)
        if tokens is FULL:
            self.says("All that was said, in short.")
        self.says("It is late.")
        await self.send("what time is it?")
        await self.rest()

    async def search(self) -> None:
        found = Search("noon", (PAGE,))
        said = Say(("It was noon.",), cites=(PAGE,))
        self.server.answer(Think(("I look.",)), found, said, Finish())
        await self.send("what was there at noon?")
        await self.rest()

    async def client(self) -> None:
        call_id = self.calls(ASK.name)[0]
        self.says("Because.")
        await self.send("why?")
        await self.watch.until(self.chat.id, asks)
        await submit(self.stack, self.chat, **{call_id: "because"})
        await self.rest()

    async def edited(self) -> None:
        """The newest message is taken back after its answer, and said otherwise."""
        self.says("An answer to nothing.")
        await self.send("a slip of the pen")
        await self.rest()
        self.says("An answer to something.")
        await self.chat.edit("what I meant")
        await self.rest()

    async def redone(self) -> None:
        """Two turns are taken back, with calls in them."""
        self.says("One.")
        await self.send("first")
        await self.rest()
        first = [m.id for m in (await self.chat.state()).messages if m.role == "user"]
        await self.tools()
        self.says("Another.")
        await self.chat.execute(
            EditMessage(
                now=self.stack.now(),
                sender_id=OWNER,
                message_id=first[-1],
                parts=(TextPart(text="first, once more"),),
            )
        )
        await self.rest()

    async def cut(self) -> None:
        """Interrupted in the middle of its words."""
        async with self.speaking(Think(("hm",)), Say(("I begin ", "with"))):
            await self.chat.interrupt()
        await self.rest()

    async def silenced(self) -> None:
        """Interrupted after a call, which nobody runs any more."""
        async with self.speaking(Say(("I look",)), self._call("clock")):
            await self.chat.interrupt()
        await self.rest()

    async def sent_now(self) -> None:
        """Another wish cuts the answer off."""
        async with self.speaking(Say(("Once upon",))):
            self.says("Yes.")
            await self.chat.send("shorter!", busy="interrupt")
        await self.rest()

    async def queued(self) -> None:
        self.says("First.")
        self.says("Second.")
        await self.send("one thing")
        await self.chat.send("and another")
        await self.rest()

    async def retried(self) -> None:
        self.server.refuse(503, "server_error", BUSY)
        self.says("Now.")
        await self.send("are you there?")
        await self.rest()

    async def planned(self) -> None:
        self.says("First this, then that.")
        await self.send("make a plan", plan_mode="plan")
        await self.rest()
        self.says("Done.")
        await self.send("do it", plan_mode="")
        await self.rest()

    async def picture(self) -> None:
        self.says("A dot.")
        await self.send(
            "what is this?",
            FilePart(file_id=PICTURE, media_type="image/png", name="dot.png"),
            FileReferencePart(
                file_name="dot.py", start_line=1, end_line=1, content="x = 1"
            ),
        )
        await self.rest()

    async def compacted(self) -> None:
        """Somebody wants the history shortened."""
        self.says("What was said so far, in a few words.")
        await self.chat.compact()
        await self.rest()

    async def send(self, text: str, *parts: Any, **settings: Any) -> None:
        await self.chat.execute(
            SendMessage(
                now=self.stack.now(),
                sender_id=OWNER,
                parts=(TextPart(text=text), *parts),
                settings=TurnSettings(**settings) if settings else None,
                busy_behavior="queue",
            )
        )

    def says(self, text: str) -> None:
        self.server.answer(Think(("hm",)), Say((text,)), Finish())

    def calls(self, *names: str, tokens: Tokens = LITTLE) -> list[str]:
        made = tuple(self._call(name) for name in names)
        finish = Finish("tool_calls", tokens)
        self.server.answer(Think(("hm",)), Say(("I ask.",)), Interleaved(made), finish)
        return [call.id for call in made]

    def _call(self, name: str) -> Call:
        self._calls += 1
        return Call(f"{self.server.call_prefix}{self._calls}", name, ("{", "}"))

    @asynccontextmanager
    async def speaking(self, *said: Move) -> AsyncIterator[None]:
        """Enter when what was said is seen; the model says nothing more."""
        self.server.answer(*said, Wait())
        shown = len([move for move in said if isinstance(move, Say | Call)])
        async with self.stack.follow(self.chat.id, after="now") as client:
            await self.send("tell me everything")
            await client.until(lambda c: len(c.named("message_part")) >= shown)
            yield

    async def rest(self) -> None:
        await self.watch.until(self.chat.id, rests)
        assert set(self.server.refused) <= {BUSY}
        assert not self.server.answers, "the script says what nobody has asked"


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
