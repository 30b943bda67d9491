"""Followers of a chat that keep everything they got, and what tests wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from service.client.client import Client, Frame
from service.client.shapes import Chat
from tests.reducer import ChatOnScreen

PATIENCE_S = 60.0
"""For one thing to come, whatever is being restarted."""

EPHEMERAL = ("message_part", "preview_reset", "caught_up")
"""Frames that a replay of the log does not have, or has otherwise."""


class Moved:
    """Something has changed; whoever waits looks again."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Event] = []

    def ring(self) -> None:
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            event.set()

    async def wait(self) -> None:
        """Wait for the next time, however long it takes."""
        event = asyncio.Event()
        self._waiting.append(event)
        await event.wait()

    async def until(
        self, done: Callable[[], object], what: Callable[[], object] = str
    ) -> None:
        """Wait until it is so."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not done():
                    await self.wait()
        except TimeoutError:
            raise AssertionError(f"in vain: {what()}") from None


@dataclass
class Progress:
    """Turns that ended, over all chats: what paces the faults."""

    turns: int = 0
    over: bool = False
    """All faults have happened: finish what you are doing."""
    moved: Moved = field(default_factory=Moved)

    def count(self) -> None:
        self.turns += 1
        self.moved.ring()

    async def more(self, turns: int) -> None:
        """Wait until so many more turns have ended."""
        wanted = self.turns + turns
        await self.moved.until(lambda: self.turns >= wanted)


class Follower:
    """Everything that a stream gave, folded strictly."""

    def __init__(self, client: Client, chat: Chat, *, after: str | None) -> None:
        self.frames: list[Frame] = []
        self.view = ChatOnScreen()
        self.moved = Moved()
        self.on_turn: Callable[[], None] = lambda: None
        self._task = asyncio.create_task(self._run(client, chat, after), name="follow")

    async def _run(self, client: Client, chat: Chat, after: str | None) -> None:
        async for frame in client.follow(chat, after=after):
            self.frames.append(frame)
            self.view.apply(frame)
            if frame.name == "turn_finished":
                self.on_turn()
            self.moved.ring()

    async def until(self, done: Callable[[], object]) -> None:
        """Wait for frames; a stream that broke for good is raised here."""
        waiting = asyncio.create_task(self.moved.until(done, self._tell))
        try:
            await asyncio.wait(
                (waiting, self._task), return_when=asyncio.FIRST_COMPLETED
            )
            if self._task.done():
                self._task.result()
            await waiting
        finally:
            waiting.cancel()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    @property
    def of_log(self) -> list[tuple[str, dict[str, Any]]]:
        """What the log gave, without what is live only."""
        return [(f.name, f.data) for f in self.frames if f.name not in EPHEMERAL]

    def _tell(self) -> str:
        last = [(f.id, f.name) for f in self.frames[-5:]]
        return f"{self.view.status} {self.view.queue} {last}"
