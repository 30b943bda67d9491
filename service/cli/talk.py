"""A talk with an agent in the terminal: one keyboard, one chat."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID

from service.cli.lines import Lines
from service.cli.screen import Screen
from service.client.client import ApiError, Client
from service.client.view import ChatView

Result = TypeVar("Result")

PROMPT = "> "

MOVES = ("snapshot", "resync", "status", "turn_finished")
"""Frames after which it may be the person's turn."""


async def talk_to(client: Client, chat_id: UUID | None) -> None:
    """Talk in this chat, or in a new one, until the person leaves."""
    async with client:
        talk = Talk(client, Screen(sys.stdout, echo_user=False), chat_id)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, talk.on_interrupt)
        await talk.run()


class Talk:
    """One keyboard and one chat."""

    def __init__(self, client: Client, screen: Screen, chat_id: UUID | None) -> None:
        self._client = client
        self._screen = screen
        self._chat_id = chat_id
        self._lines = Lines()
        self._view = ChatView()
        self._turn = 0
        self._interrupted = False
        self._moved = asyncio.Event()
        self._asked = asyncio.Event()
        self._leaving = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Until the person leaves."""
        self._lines.start()
        if self._chat_id is not None:
            self._view.status = (await self._client.get(self._chat_id))["status"]
            self._follow(self._chat_id, after=None)
            await self._unless_leaving(self._at_rest())
        try:
            while (text := await self._read()) is not None:
                await self._say(text)
                await self._unless_leaving(self._at_rest())
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def on_interrupt(self) -> None:
        """Ctrl-C: stop the turn; when there is none, or it was asked before, leave."""
        if self._busy and not self._interrupted:
            self._interrupted = True
            self._asked.set()
        else:
            self._leaving.set()

    @property
    def _busy(self) -> bool:
        finished = max((turn.id or 0 for turn in self._view.turns), default=0)
        running = self._view.status is not None and not self._view.at_rest
        return finished < self._turn or running

    async def _read(self) -> str | None:
        if self._leaving.is_set():
            return None
        self._screen.prompt(PROMPT)
        return await self._unless_leaving(self._lines.next())

    async def _say(self, text: str) -> None:
        self._interrupted = False
        if self._chat_id is None:
            made = await self._client.create(text)
            self._chat_id = UUID(made["id"])
            self._turn, self._view.status = 1, made["status"]
            self._follow(self._chat_id, after="0")
            return
        sent = await self._client.send(self._chat_id, text)
        if "message" in sent:
            self._turn = sent["message"]["id"]

    def _follow(self, chat_id: UUID, *, after: str | None) -> None:
        for name, work in (
            ("follow", self._show_frames(chat_id, after)),
            ("interrupt", self._interrupt_when_asked(chat_id)),
        ):
            self._tasks.append(asyncio.create_task(work, name=name))

    async def _show_frames(self, chat_id: UUID, after: str | None) -> None:
        async for frame in self._client.follow(chat_id, after=after):
            self._screen.show(frame)
            self._view.apply(frame)
            if frame.name in MOVES:
                self._moved.set()

    async def _at_rest(self) -> None:
        while self._busy:
            self._moved.clear()
            await self._moved.wait()

    async def _interrupt_when_asked(self, chat_id: UUID) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            # 409: the turn ended by itself meanwhile
            with suppress(ApiError):
                await self._client.interrupt(chat_id)

    async def _unless_leaving(self, work: Coroutine[Any, Any, Result]) -> Result | None:
        """The result, or None when the person leaves; a failed follower raises."""
        task = asyncio.create_task(work, name="wait")
        leaving = asyncio.create_task(self._leaving.wait(), name="leaving")
        try:
            await asyncio.wait(
                (task, leaving, *self._tasks), return_when=asyncio.FIRST_COMPLETED
            )
            for failed in self._tasks:
                if failed.done():
                    failed.result()
            return task.result() if task.done() else None
        finally:
            for waiting in (task, leaving):
                waiting.cancel()
