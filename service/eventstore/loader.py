"""Load chats: cached folds, only the tail read, one read for all who wait for it.

A cached fold is (version, digest); its tail is read from that version on, and the first
row must carry that digest. So another history, after a failover, is never folded onto
a state of the old one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from uuid import UUID
from weakref import WeakValueDictionary

from service.db.pool import Connection, Pool
from service.domain.ids import CHAT
from service.errors import FutureEvent
from service.eventstore import store
from service.eventstore.cache import ChatCache
from service.eventstore.fold import NOTHING, Fold, after_page, after_recorded
from service.eventstore.records import RecordedEvent, StreamName

LOAD_PAGE = 200
"""Events a page of a load; folding them keeps the loop busy for some 5 ms."""


class Loader:
    """The cache of one process and everything that fills it."""

    def __init__(self, pool: Pool, *, cache_bytes: int) -> None:
        self.cache = ChatCache(cache_bytes)
        self.reads = 0
        """Statements that read a chat's events to fold them, since the start."""
        self._pool = pool
        self._purged: set[UUID] = set()
        self._reads: dict[UUID, asyncio.Future[Fold | None]] = {}
        self._reading: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """A pooled connection; DatabaseAway when there is none or it breaks."""
        return self._pool.reachable()

    async def load(self, chat_id: UUID) -> Fold:
        """The newest fold, for commits up to this call at least.

        Raises FutureEvent, DatabaseAway.
        """
        while True:
            read = self._reads.get(chat_id)
            if read is None:
                return await self._lead(chat_id)
            # shielded: one waiter that is cancelled must not cancel the others
            fold = await asyncio.shield(read)
            if fold is not None:
                return fold

    def remember(self, chat_id: UUID, fold: Fold) -> None:
        """Keep a fold unless a newer one is there, or its content is erased."""
        if fold.loaded.state.exists and chat_id in self._purged:
            return
        cached = self.cache.get(chat_id)
        if cached is None or cached.loaded.version < fold.loaded.version:
            self.cache.put(chat_id, fold)

    def purge(self, chat_id: UUID) -> None:
        """Keep nothing of a chat, also of what is being read or appended just now."""
        self._purged.add(chat_id)
        self.cache.drop(chat_id)

    def clear(self) -> None:
        """Keep nothing at all: in another history other chats are purged."""
        self._purged.clear()
        self.cache.clear()

    def apply(self, chat_id: UUID, events: Sequence[RecordedEvent]) -> None:
        """Fold a chat's next events onto its cached state, if that is what they are.

        Another history than the cached one, or a newer release's event, drops it.
        """
        fold = self.cache.get(chat_id)
        if fold is None:
            return
        at = fold.loaded.version
        newer = [event for event in events if event.version > at]
        if any(e.version == at and e.digest != fold.loaded.digest for e in events):
            self.cache.drop(chat_id)
        elif _follow(at, newer):
            try:
                self.cache.put(chat_id, after_recorded(fold, newer))
            except FutureEvent:
                self.cache.drop(chat_id)

    async def _lead(self, chat_id: UUID) -> Fold:
        """Read for everybody who joins before the first statement is sent.

        Who comes later may know of a commit that this read does not see, and begins
        the next one. That waits for this one, so it has only the tail to read.
        """
        read: asyncio.Future[Fold | None] = asyncio.get_running_loop().create_future()
        self._reads[chat_id] = read
        lock = self._reading.setdefault(chat_id, asyncio.Lock())
        try:
            async with lock, self.connection() as connection:
                del self._reads[chat_id]
                fold = await self._read(connection, chat_id)
            read.set_result(fold)
        except Exception as error:
            read.set_exception(error)
            read.exception()  # seen, also when nobody has joined
            raise
        finally:
            if self._reads.get(chat_id) is read:
                del self._reads[chat_id]
            if not read.done():
                # cancelled: somebody who joined has to begin anew
                read.set_result(None)
        return fold

    async def _read(self, connection: Connection, chat_id: UUID) -> Fold:
        stream = StreamName(CHAT, chat_id)
        fold = self.cache.get(chat_id) or NOTHING
        self.reads += 1
        page = await store.read_stream(
            connection, stream, max(0, fold.loaded.version - 1), LOAD_PAGE
        )
        more = len(page) >= LOAD_PAGE
        if fold is not NOTHING:
            if page and page[0].digest == fold.loaded.digest:
                del page[0]
            else:
                self.cache.drop(chat_id)
                fold, page, more = NOTHING, [], True
        fold = await after_page(fold, page)
        while more:
            self.reads += 1
            page = await store.read_stream(
                connection, stream, fold.loaded.version, LOAD_PAGE
            )
            fold = await after_page(fold, page)
            more = len(page) >= LOAD_PAGE
        if fold is not NOTHING:
            self.remember(chat_id, fold)
        return fold


def _follow(version: int, events: Sequence[RecordedEvent]) -> bool:
    """Whether the events can be folded onto `version` and end at a border."""
    return (
        len(events) > 0
        and events[0].version == version + 1
        and events[-1].at_border
        and all(event.data is not None for event in events)
    )
