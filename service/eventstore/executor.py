"""Decide, append, and decide again on a conflict, over one chat or several at once.

A plan is made on the cached states when there are some: es.append compares versions
and digests, so a stale cache costs a reload, never a wrong event. Only a rejection, and
a chat that is left as it is, need the newest states before they count. Requests on one
chat go one after the other within a process; other processes are met as conflicts.

No connection is held while an append is awaited.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from uuid import UUID
from weakref import WeakValueDictionary

from service.domain.events.chat import ChatEvent
from service.domain.ids import CHAT
from service.errors import (
    DatabaseAway,
    KeyReused,
    Rejection,
    StreamPurged,
    WrongExpectedVersion,
)
from service.eventstore import codec, store
from service.eventstore.appender import Appender
from service.eventstore.fold import NOTHING, Fold
from service.eventstore.loader import Loader
from service.eventstore.plans import Change, Planner
from service.eventstore.records import (
    AppendRequest,
    StreamAppend,
    StreamName,
    StreamResult,
    slices,
)
from service.eventstore.requests import Handled, Request

logger = logging.getLogger(__name__)

ATTEMPTS = 10
"""Decisions per request; each lost one means that another process won."""

BACK_OFF_S = 0.002
"""About one append; doubled with each conflict, and jittered."""

TURN_S = 30.0
"""How long a request waits for its chats' earlier ones: one append's deadline."""


class Executor:
    """The one way from a plan to the log."""

    def __init__(self, loader: Loader, appender: Appender) -> None:
        self._loader = loader
        self._appender = appender
        self._turns: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    async def run(
        self, request: Request, planner: Planner, *, chats: Iterable[UUID]
    ) -> Handled:
        """What became of the request; `chats` are those whose turn it takes.

        Raises Rejection (KeyReused too), WrongExpectedVersion when other processes
        won every time, Unavailable, FutureEvent.
        """
        started = asyncio.get_running_loop().time()
        outcome, version = "failed", 0
        try:
            async with self._turn(chats):
                handled = await self._run(request, planner)
            outcome, version = handled.outcome, handled.loaded.version
        except Rejection as rejection:
            outcome = rejection.code
            raise
        finally:
            seconds = asyncio.get_running_loop().time() - started
            _log(request, outcome, version, seconds)
        return handled

    @asynccontextmanager
    async def _turn(self, chats: Iterable[UUID]) -> AsyncIterator[None]:
        """One request of a chat at a time; without it they only conflict.

        Locks are taken in the order of the ids, so that nobody waits in a circle.
        """
        locks = [self._turns.setdefault(c, asyncio.Lock()) for c in sorted(set(chats))]
        held: list[asyncio.Lock] = []
        try:
            await _take(locks, held)
            yield
        finally:
            for lock in held:
                lock.release()

    async def _run(self, request: Request, planner: Planner) -> Handled:
        handled = await self._try_cached(request, planner)
        if handled is not None:
            return handled
        attempt = 0
        while True:
            plan = await planner.plan(self._loader.load)
            if isinstance(plan, Rejection):
                return await self._rejected(request, plan)
            try:
                return await self._append(request, plan)
            except (WrongExpectedVersion, StreamPurged):
                attempt += 1
                # what is erased stays erased: nothing can be created there again
                if attempt == ATTEMPTS or any(c.before.is_erased for c in plan):
                    raise
            await asyncio.sleep(random.random() * BACK_OFF_S * 2**attempt)

    async def _try_cached(self, request: Request, planner: Planner) -> Handled | None:
        """Decide on what may be stale; None when only the newest state can tell."""
        plan = await planner.plan(self._cached)
        # what is left as it is goes into no append, so nothing would find it stale
        if isinstance(plan, Rejection) or not all(change.events for change in plan):
            return None
        with suppress(WrongExpectedVersion, StreamPurged):
            return await self._append(request, plan)
        return None

    async def _cached(self, chat_id: UUID) -> Fold:
        # what is not cached may well not exist: creates need no read either
        return self._loader.cache.get(chat_id) or NOTHING

    async def _append(self, request: Request, plan: list[Change]) -> Handled:
        answer = plan[0]
        changes = [change for change in plan if change.events]
        if not changes:
            # it is so already; perhaps because this very request made it so
            done = await self._earlier(request)
            return done or Handled("appended", (), answer.before.loaded)
        encoded = [tuple(await c.encode(request.metadata)) for c in changes]
        result = await self._appender.append(
            AppendRequest(
                tuple(
                    StreamAppend(
                        StreamName(CHAT, change.chat_id),
                        change.before.loaded.version,
                        events,
                        change.before.loaded.digest,
                    )
                    for change, events in zip(changes, encoded, strict=True)
                ),
                request.key,
                request.request_hash,
            )
        )
        if result.outcome == "duplicate":
            return await self._duplicate_of(request, result.streams)
        folds = []
        for change, events, where in zip(changes, encoded, result.streams, strict=True):
            folds.append(change.after(events, where))
            self._loader.remember(change.chat_id, folds[-1])
        numbered = enumerate(answer.events, result.streams[0].first_version)
        return Handled("appended", tuple(numbered), folds[0].loaded)

    async def _duplicate_of(
        self, request: Request, streams: tuple[StreamResult, ...]
    ) -> Handled:
        where = next(s for s in streams if s.stream == request.stream)
        if where.first_version == 0:
            # the first one touched another chat: that is another request
            raise KeyReused
        return await self._duplicate(request, where.first_version, where.last_version)

    async def _rejected(self, request: Request, rejection: Rejection) -> Handled:
        """A rejection, unless the same request was accepted before."""
        done = await self._earlier(request)
        if done is None:
            raise rejection
        return done

    async def _earlier(self, request: Request) -> Handled | None:
        """What became of the request before, if it was there before."""
        if not request.keyed:
            return None
        async with self._loader.connection() as connection:
            earlier = await store.find_request(connection, request.stream, request.key)
        if earlier is None:
            return None
        if earlier.request_hash != request.request_hash:
            raise KeyReused
        return await self._duplicate(
            request, earlier.first_version, earlier.last_version
        )

    async def _duplicate(self, request: Request, first: int, last: int) -> Handled:
        async with self._loader.connection() as connection:
            recorded = await store.read_stream(
                connection, request.stream, first - 1, last - first + 1
            )
        events: list[tuple[int, ChatEvent]] = []
        for part in slices(recorded):
            decoded = ((e.version, codec.decode(e)) for e in part)
            events += [(version, e) for version, e in decoded if e is not None]
            await asyncio.sleep(0)
        fold = await self._loader.load(request.chat_id)
        return Handled("duplicate", tuple(events), fold.loaded)


async def _take(locks: Iterable[asyncio.Lock], held: list[asyncio.Lock]) -> None:
    """Acquire the locks; `held` gets each as it is acquired, also before a failure."""
    try:
        async with asyncio.timeout(TURN_S):
            for lock in locks:
                await lock.acquire()
                held.append(lock)
    except TimeoutError:
        raise DatabaseAway(
            f"the chat was busy for {TURN_S} s, nothing was appended"
        ) from None


def _log(request: Request, outcome: str, version: int, seconds: float) -> None:
    logger.info(
        "command handled",
        extra={
            "chat_id": str(request.chat_id),
            "command": request.name,
            "outcome": outcome,
            "version": version,
            "duration_ms": round(seconds * 1000, 1),
        },
    )
