"""Values by key, read once for all who ask at the same time, kept until forgotten."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from contextvars import Context
from functools import partial
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Cache(Generic[K, V]):
    """Keeps nothing until `keeps` is set; the least recently used go first."""

    def __init__(self, read: Callable[[K], Awaitable[V]], *, size: int) -> None:
        self._read = read
        self._size = size
        self._kept: OrderedDict[K, V] = OrderedDict()
        self._filling: dict[K, asyncio.Task[V]] = {}
        self._running: set[asyncio.Task[V]] = set()
        self._generation = 0
        """Counts what was forgotten; a read of an older one is not kept."""
        self.keeps = False
        self.fills = 0

    async def get(self, key: K) -> V:
        """The value that is kept, or that is read now. Raises what reading raises."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        filling = self._filling.get(key)
        if filling is None:
            filling = self._start(key)
        # who gives up does not take it away from the others
        return await asyncio.shield(filling)

    def forget(self) -> None:
        """From now on read anew; those who wait already get what is on its way."""
        self._generation += 1
        self._kept.clear()
        self._filling.clear()

    async def close(self) -> None:
        """Cancel what is being read."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _start(self, key: K) -> asyncio.Task[V]:
        # a context of its own: whose request came first is nothing to the others
        filling = asyncio.create_task(
            self._fill(key, self._generation), name="cache fill", context=Context()
        )
        self._filling[key] = filling
        self._running.add(filling)
        filling.add_done_callback(partial(self._ended, key))
        return filling

    async def _fill(self, key: K, generation: int) -> V:
        self.fills += 1
        value = await self._read(key)
        if self.keeps and generation == self._generation:
            self._kept[key] = value
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return value

    def _ended(self, key: K, filling: asyncio.Task[V]) -> None:
        self._running.discard(filling)
        if self._filling.get(key) is filling:
            del self._filling[key]
        if not filling.cancelled() and (error := filling.exception()) is not None:
            logger.warning("a cache could not be filled", extra={"reason": repr(error)})
