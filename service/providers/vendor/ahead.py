"""Reading a stream in a task of its own, so that word of it can come before it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

AHEAD = 256
"""Items that wait for a slow reader; more would only fill memory."""


class Cut(Exception):
    """The stream was cancelled from within: by its library, not by us."""


class Ahead(Generic[T]):
    """What a stream gives, and what is told beside it, in one order."""

    def __init__(self) -> None:
        self._items: asyncio.Queue[tuple[T] | None] = asyncio.Queue(AHEAD)

    def tell(self, item: T) -> None:
        """Put this in now. Only before the stream has given as much as may wait."""
        self._items.put_nowait((item,))

    @asynccontextmanager
    async def reading(
        self, stream: AsyncGenerator[T, None]
    ) -> AsyncIterator[AsyncIterator[T]]:
        """The items; on exit the stream is closed, wherever it is."""
        task = asyncio.create_task(self._read(stream), name="reading ahead")
        task.add_done_callback(self._ended)
        try:
            async with aclosing(self._given(task)) as given:
                yield given
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                # seen: a reader that has gone does not want to hear of it
                task.exception()

    async def _read(self, stream: AsyncGenerator[T, None]) -> None:
        async with aclosing(stream):
            async for item in stream:
                await self._items.put((item,))

    def _ended(self, _: asyncio.Task[None]) -> None:
        """Wake the reader; where items wait, it is not asleep."""
        if self._items.empty():
            self._items.put_nowait(None)

    async def _given(self, task: asyncio.Task[None]) -> AsyncGenerator[T, None]:
        """Raises what the stream raises, after what it gave before."""
        while not (task.done() and self._items.empty()):
            item = await self._items.get()
            if item is not None:
                yield item[0]
        if task.cancelled():
            raise Cut
        task.result()
