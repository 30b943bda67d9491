"""A user with one chat, who says, stops, edits and renames."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar
from uuid import uuid4

from service.client.client import ApiError, Client, ConnectionFailed
from service.client.shapes import Chat, ToolResult
from tests.e2e.drills.follower import PATIENCE_S, Follower, Progress
from tests.reducer import ChatOnScreen

Result = TypeVar("Result")


class Talk:
    """One chat, and what its user has said in it."""

    def __init__(self, client: Client, progress: Progress, seed: int) -> None:
        self.client = client
        self.said: Counter[str] = Counter()
        """What was taken, by its text."""
        self.title = ""
        """The last that was taken."""
        self.done: Counter[str] = Counter()
        self._progress = progress
        self._random = random.Random(seed)
        self._number = 0
        self._answered: set[str] = set()

    async def begin(self, chat: Chat | None = None) -> None:
        """Create it, unless it is there, and follow it from its first event."""
        if chat is None:
            text = self._text()
            chat = await self._insist(lambda key: self.client.create(text, key=key))
            assert chat is not None
            self.said[text] += 1
        self.chat = chat
        self.follower = Follower(self.client, chat, after="0")
        self.follower.on_turn = self._progress.count
        self.second = Follower(self.client, chat, after=None)

    async def run(self) -> None:
        """Do one thing after the other until the faults are over; then come to rest."""
        answering = asyncio.create_task(self._answer_calls(), name="answer")
        try:
            while not self._progress.over:
                await self._act()
                await self._pause()
            await self._settle()
        finally:
            answering.cancel()
            await asyncio.wait([answering])
        if not answering.cancelled():
            answering.result()

    async def close(self) -> None:
        await self.follower.stop()
        await self.second.stop()

    @property
    def _view(self) -> ChatOnScreen:
        return self.follower.view

    async def _act(self) -> None:
        acts: list[Callable[[], Awaitable[None]]] = [
            *[self._send] * 5, self._send_now, self._send_now, self._interrupt,
            self._edit, self._rename, self._change_queue, self._follow_anew,
        ]  # fmt: skip
        act = self._random.choice(acts)
        self.done[act.__name__.strip("_")] += 1
        await act()

    async def _pause(self) -> None:
        """Look what becomes of it: all, or the beginning."""
        if self._random.random() < 0.4 or len(self._view.queue) > 8:
            await self._rest()
        else:
            await self.follower.until(lambda: self._view.preview or self._at_rest())

    def _at_rest(self) -> bool:
        return self._view.caught_up and self._view.status in ("waiting", "error")

    async def _rest(self) -> None:
        await self.follower.until(self._at_rest)

    async def _settle(self) -> None:
        """At rest also by the log, which may be ahead of what the follower has."""
        while True:
            await self._rest()
            seen = len(self.follower.frames)
            header = await self._insist(lambda _: self.client.get(self.chat))
            assert header is not None
            if header["status"] in ("waiting", "error"):
                return
            await self.follower.until(partial(self._has_more, seen))

    def _has_more(self, seen: int) -> bool:
        return len(self.follower.frames) > seen

    def _text(self) -> str:
        self._number += 1
        if self._random.random() < 0.05:
            return "fail"
        if self._random.random() < 0.3:
            return f"what time is it, {self._number}?"
        return f"count {self._number % 40 + 10}"

    async def _send(self, how: str = "queue") -> None:
        text, chat = self._text(), self.chat
        sent = await self._insist(
            lambda key: self.client.send(chat, text, busy_behavior=how, key=key)
        )
        self.said[text] += sent is not None

    async def _send_now(self) -> None:
        await self._send("interrupt")

    async def _interrupt(self) -> None:
        await self._insist(lambda key: self.client.interrupt(self.chat, key=key))

    async def _edit(self) -> None:
        mine = [i for i, m in self._view.messages.items() if m["role"] == "user"]
        if not mine:
            return
        text, message = self._text(), self._random.choice(mine)
        edited = await self._insist(
            lambda key: self.client.edit(self.chat, message, text, key=key)
        )
        self.said[text] += edited is not None

    async def _rename(self) -> None:
        title = f"title {self._random.random()}"
        if await self._told(lambda key: self.client.update(
            self.chat, title=title, key=key
        )):  # fmt: skip
            self.title = title

    async def _change_queue(self) -> None:
        if not self._view.queue:
            return
        queued = self._random.choice(self._view.queue)["id"]
        change = self._random.choice([self.client.promote, self.client.delete_queued])
        await self._told(lambda key: change(self.chat, queued, key=key))

    async def _follow_anew(self) -> None:
        """Somebody else begins to follow now, with a snapshot."""
        await self.second.stop()
        self.second = Follower(self.client, self.chat, after=None)

    async def _answer_calls(self) -> None:
        """The client's tools: each request is answered once."""
        while True:
            await self._called()
            assert self._view.action is not None
            ids = [call["tool_call_id"] for call in self._view.action["tool_calls"]]
            self._answered |= set(ids)
            if await self._told(partial(self._submit, ids)):
                self.done["answer_calls"] += 1

    async def _submit(self, ids: list[str], key: str) -> None:
        told = {"now": "noon", "timezone": "UTC"}
        results = [ToolResult(tool_call_id=id_, output=told) for id_ in ids]
        await self.client.submit_tool_results(self.chat, results, key=key)

    async def _called(self) -> None:
        """Wait, for as long as it takes, for calls that were not answered yet."""
        while True:
            action = self._view.action
            if action is not None:
                ids = {call["tool_call_id"] for call in action["tool_calls"]}
                if not ids <= self._answered:
                    return
            await self.follower.moved.wait()

    async def _told(self, request: Callable[[str], Awaitable[object]]) -> bool:
        """Whether a request that answers nothing was taken."""

        async def answer(key: str) -> bool:
            await request(key)
            return True

        return await self._insist(answer) is not None

    async def _insist(
        self, request: Callable[[str], Awaitable[Result]]
    ) -> Result | None:
        """Ask with one key until it is known what became of it; None: refused."""
        key = uuid4().hex
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    return await request(key)
                except ConnectionFailed:
                    continue
                except ApiError as error:
                    if error.status < 500:
                        return None
