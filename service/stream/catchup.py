"""Reading a chat's history for followers that are behind, shared and bounded.

Followers at the same place share one read. A semaphore bounds the reads of the process,
so that a storm of reconnects takes turns instead of the whole pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from service.db.pool import Pool
from service.domain.ids import CHAT
from service.eventstore import store
from service.eventstore.codec import decode
from service.eventstore.records import RecordedEvent, StreamName
from service.stream.cursor import short_digest
from service.stream.view import View, advance, see

T = TypeVar("T")

CONCURRENT_READS = 4
"""Less than the request pool, which other requests need too."""
PAGE = 128
"""Events a page: a few hundred KiB at most in ordinary chats."""


@dataclass(frozen=True, slots=True)
class PastFrame:
    """A frame of the log, without an id: that depends on the parts a follower saw."""

    version: int
    """Version of its event."""
    shown: int
    """Which frame of its event, from 1; 0 for an event without frames."""
    last: bool
    """Whether it is the last of its event."""
    digest: str
    """Of its event, or of the event before when it is not the last."""
    episode: tuple[int, int] | None
    """The episode that is open after it."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Frames of successive events, and the view after them."""

    frames: tuple[PastFrame, ...]
    view: View
    digest: str | None
    """Digest of the view's version; None at version 0."""


class Catchup:
    """Reads pages of history. `spawn` runs a coroutine that outlives its caller."""

    def __init__(
        self, pool: Pool, spawn: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        self._pool = pool
        self._spawn = spawn
        self.turn = asyncio.Semaphore(CONCURRENT_READS)
        """To be held by whoever reads for a stream, opening it included. Who waits for
        it does not wait for a connection, and so does not run out of time there."""
        self._reads: dict[Hashable, asyncio.Future[Any]] = {}

    async def page_after(self, chat_id: UUID, view: View, digest: str | None) -> Page:
        """The frames after `view`; no frames: it is the head."""
        key = ("page", chat_id, view.version, digest)
        return await self._shared(key, lambda: self._page(chat_id, view, digest))

    async def view_at(self, chat_id: UUID, view: View, version: int) -> Page | None:
        """Advance `view` to `version` without frames; None: the log does not reach it.

        `version` need not be an append border.
        """
        key = ("view", chat_id, view.version, version)
        return await self._shared(key, lambda: self._view(chat_id, view, version))

    async def _shared(
        self, key: Hashable, read: Callable[[], Coroutine[Any, Any, T]]
    ) -> T:
        future = self._reads.get(key)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._reads[key] = future
            self._spawn(self._read(key, future, read))
        result: T = await asyncio.shield(future)
        return result

    async def _read(
        self,
        key: Hashable,
        future: asyncio.Future[T],
        read: Callable[[], Coroutine[Any, Any, T]],
    ) -> None:
        try:
            async with self.turn:
                result = await read()
        except asyncio.CancelledError:
            future.cancel()
            raise
        except Exception as error:  # handed to every follower that waits
            future.set_exception(error)
            future.exception()
        else:
            future.set_result(result)
        finally:
            del self._reads[key]

    async def _page(self, chat_id: UUID, view: View, digest: str | None) -> Page:
        frames: list[PastFrame] = []
        for event in await self.read(chat_id, view.version):
            after, shown = see(view, chat_id, decode(event), at_border=event.at_border)
            previous, digest = digest, short_digest(event.digest)
            bodies = [frame.body for frame in shown] or [b"\n"]
            for number, body in enumerate(bodies, start=1):
                last = number == len(bodies)
                frames.append(
                    PastFrame(
                        version=event.version,
                        shown=number if shown else 0,
                        last=last,
                        digest=digest if last else previous or "",
                        episode=_episode(after),
                        body=body,
                    )
                )
            view = after
        return Page(tuple(frames), view, digest)

    async def _view(self, chat_id: UUID, view: View, version: int) -> Page | None:
        digest: str | None = None
        while view.version < version:
            events = await self.read(chat_id, view.version)
            if not events:
                return None
            for event in events:
                if event.version > version:
                    break
                view = advance(view, decode(event), at_border=event.at_border)
                digest = short_digest(event.digest)
        return Page((), view, digest)

    async def read(self, chat_id: UUID, after: int) -> list[RecordedEvent]:
        """One page of a chat's events."""
        async with self._pool.connection() as connection:
            return await store.read_stream(
                connection, StreamName(CHAT, chat_id), after, limit=PAGE
            )


def _episode(view: View) -> tuple[int, int] | None:
    if view.preview is None:
        return None
    return view.preview.epoch, view.preview.attempt
