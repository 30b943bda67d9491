"""A long chat: its user and its client, and what the models say to it, turn by turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from service.domain.commands.chat import EditMessage, SendMessage
from service.domain.events.chat import TurnSettings
from service.domain.parts import FilePart, FileReferencePart, TextPart
from tests.builders import OWNER
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.model_servers import ModelServer
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
from tests.fixtures.stack import Stack
from tests.integration.agent.clients import ASK, asks, submit
from tests.integration.agent.crew import Watch, rests
from tests.integration.agent.two_vendors import PICTURE

PAGE = Page("https://example.org/noon", "Noon")
BUSY = "too many requests at once"
ARGUMENTS = ('{"timezone": "UTC", ', '"at": 1e16, "zone": {"b": 1, "a": 2}}')
"""In an order, and with a number, that the log writes in another way."""
LITTLE = Tokens()
FULL = Tokens(input=900)
"""So near the context limit that a summary is due."""


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
        await submit(self.stack, self.chat, **{call_id: {"why": "because", "so": 1}})
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
        return Call(f"{self.server.call_prefix}{self._calls}", name, ARGUMENTS)

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
