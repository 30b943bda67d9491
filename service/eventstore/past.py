"""Chats as they were: a stream from its first event up to a version.

Invariants hold at append borders, so a version means the border at it or after it.
Pages are folded as they come; no connection is held, and the loop gets its turn, while
they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

from service.domain.ids import CHAT
from service.errors import DatabaseAway, Rejection, Unavailable
from service.eventstore import store
from service.eventstore.codec import ERASED, STREAM_PURGED
from service.eventstore.fold import NOTHING, Fold, Loaded, after_recorded
from service.eventstore.loader import LOAD_PAGE, Loader
from service.eventstore.records import RecordedEvent, StreamName, slices

READS = 2
"""Reads of the past at once: a fork holds some 35 MB for each 10,000 events."""

TURN_S = 5.0
"""Who waits longer for one of them is told to come back: a queue would only grow."""

Take = Callable[[Sequence[RecordedEvent]], None]
"""Gets the events in order, a slice at a time."""


class Past:
    """Reads streams from their beginning, a few at a time."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._reads = asyncio.Semaphore(READS)

    async def load(self, chat_id: UUID, version: int) -> Loaded | Rejection:
        """The state at the border; the cache is used where it is of that version."""
        newest = (await self._loader.load(chat_id)).loaded
        if version == newest.version and newest.state.exists:
            return newest
        fold = await self._up_to(chat_id, newest, version, _ignore)
        return fold if isinstance(fold, Rejection) else fold.loaded

    async def read(
        self, chat_id: UUID, version: int | None, take: Take, *, most: int
    ) -> Fold | Rejection:
        """The fold at the border, after `take` got every event up to it.

        None: of all there is. A fold of more than `most` bytes is refused, as soon as
        it is.
        """
        newest = (await self._loader.load(chat_id)).loaded
        wanted = newest.version if version is None else version
        return await self._up_to(chat_id, newest, wanted, take, most=most)

    async def _up_to(
        self,
        chat_id: UUID,
        newest: Loaded,
        wanted: int,
        take: Take,
        *,
        most: int | None = None,
    ) -> Fold | Rejection:
        if not newest.state.exists:
            return _gone()
        if not 1 <= wanted <= newest.version:
            detail = f"the chat has the versions 1 to {newest.version}"
            return Rejection("unknown-version", detail)
        await self._turn()
        try:
            return await self._read(StreamName(CHAT, chat_id), wanted, take, most=most)
        finally:
            self._reads.release()

    async def _turn(self) -> None:
        try:
            async with asyncio.timeout(TURN_S):
                await self._reads.acquire()
        except TimeoutError:
            raise Unavailable(
                f"reads of the past were all taken for {TURN_S:.0f} s; try again"
            ) from None

    async def _read(
        self, stream: StreamName, wanted: int, take: Take, *, most: int | None
    ) -> Fold | Rejection:
        fold = NOTHING
        while fold.loaded.version < wanted:
            page = await self._page(stream, fold.loaded, wanted)
            if not page or any(e.type in (ERASED, STREAM_PURGED) for e in page):
                # erased since, or a restored log that never had it
                return _gone()
            for part in slices(page):
                fold = after_recorded(fold, part)
                if most is not None and fold.size > most:
                    return _too_long(most)
                take(part)
                await asyncio.sleep(0)
        return fold

    async def _page(
        self, stream: StreamName, before: Loaded, wanted: int
    ) -> list[RecordedEvent]:
        """What follows `before`, up to the border of `wanted` at most.

        The connection may be to another server each time, so the event before the page
        is read again: its digest says whether this is the same history.
        """
        at = before.version
        limit = min(LOAD_PAGE, wanted - at)
        async with self._loader.connection() as connection:
            if at == 0:
                return await store.read_stream(connection, stream, 0, limit)
            page = await store.read_stream(connection, stream, at - 1, limit + 1)
        if not page or page[0].digest != before.digest:
            raise DatabaseAway("the log has another history now; ask again")
        return page[1:]


def _ignore(_: Sequence[RecordedEvent]) -> None:
    """For who wants the fold alone."""


def _gone() -> Rejection:
    return Rejection("chat-not-found", "there is no such chat")


def _too_long(most: int) -> Rejection:
    detail = f"the chat has more than {most} bytes; take an earlier version"
    return Rejection("chat-too-long", detail)
