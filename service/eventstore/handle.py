"""Chats from their streams: load and fold, decide, append, decide again on a conflict.

A command is decided on the cached state when there is one: es.append compares version
and digest, so a stale cache costs a reload, never a wrong event. Only a rejection needs
the newest state before it counts. Commands of one chat go one after the other within a
process; other processes are met as conflicts.

No connection is held while an append is awaited.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID, uuid4
from weakref import WeakValueDictionary

from service.db.pool import Pool
from service.domain.chat.decide import decide
from service.domain.commands.chat import ChatCommand
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
from service.eventstore.fold import NOTHING, Fold, after_append
from service.eventstore.fold import Loaded as Loaded
from service.eventstore.loader import Loader
from service.eventstore.records import (
    AppendRequest,
    RecordedEvent,
    StreamAppend,
    StreamName,
)

logger = logging.getLogger(__name__)

ATTEMPTS = 10
"""Decisions per command; each lost one means that another process won."""

BACK_OFF_S = 0.002
"""About one append; doubled with each conflict, and jittered."""

TURN_S = 30.0
"""How long a command waits for its chat's earlier ones: one append's deadline."""


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of a command.

    `events` are (version, event) of this request; after a `duplicate` those that the
    first one appended, and `loaded` may be further than they are.
    """

    outcome: Literal["appended", "duplicate"]
    events: tuple[tuple[int, ChatEvent], ...]
    loaded: Loaded


@dataclass(frozen=True, slots=True)
class _Request:
    chat_id: UUID
    command: ChatCommand
    key: str
    request_hash: bytes
    metadata: dict[str, Any]
    keyed: bool
    """The key is the caller's, so it may have been used before."""

    @property
    def stream(self) -> StreamName:
        return StreamName(CHAT, self.chat_id)


class Chats:
    """Every chat of this process: its cached state, and the way to change it."""

    def __init__(self, pool: Pool, appender: Appender, *, cache_bytes: int) -> None:
        self._loader = Loader(pool, cache_bytes=cache_bytes)
        self._appender = appender
        self._turns: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    async def load(self, chat_id: UUID) -> Loaded:
        """The newest state; version 0 for a chat that does not exist.

        Sees everything committed before the call. Raises FutureEvent, DatabaseAway.
        """
        return (await self._loader.load(chat_id)).loaded

    async def execute(
        self,
        chat_id: UUID,
        command: ChatCommand,
        *,
        actor: str,
        key: str | None = None,
        request_hash: bytes | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
    ) -> Handled:
        """Decide and append; the same key and hash again gives the first result.

        Raises Rejection (KeyReused too), WrongExpectedVersion when other processes
        won every time, Unavailable, FutureEvent.
        """
        metadata = _metadata(actor, correlation_id, causation_id)
        key, request_hash, keyed = _identity(key, request_hash)
        request = _Request(chat_id, command, key, request_hash, metadata, keyed)
        started = asyncio.get_running_loop().time()
        outcome, version = "failed", 0
        try:
            async with self._turn(chat_id):
                handled = await self._execute(request)
            outcome, version = handled.outcome, handled.loaded.version
        except Rejection as rejection:
            outcome = rejection.code
            raise
        finally:
            seconds = asyncio.get_running_loop().time() - started
            _log_command(request, outcome, version, seconds)
        return handled

    def peek(self, chat_id: UUID) -> Loaded | None:
        """The cached state, which may be behind; None when it is not cached."""
        fold = self._loader.cache.get(chat_id)
        return None if fold is None else fold.loaded

    def apply(self, chat_id: UUID, events: Sequence[RecordedEvent]) -> None:
        """Feed the cache from the tail, with every event of the chat and in order.

        Ignored where they do not fit: not cached, heads only, known already.
        """
        self._loader.apply(chat_id, events)

    def on_events(self, events: Sequence[RecordedEvent]) -> None:
        """From the tail: of a chat that was purged nothing stays in memory."""
        for event in events:
            if event.type == codec.STREAM_PURGED:
                self._loader.purge(event.stream.stream_id)

    def forget(self, chat_id: UUID) -> None:
        """Drop one chat from the cache."""
        self._loader.cache.drop(chat_id)

    def forget_all(self) -> None:
        """Drop the cache: the log has another history."""
        self._loader.clear()

    # executing

    @asynccontextmanager
    async def _turn(self, chat_id: UUID) -> AsyncIterator[None]:
        """One command of a chat at a time; without it they only conflict."""
        lock = self._turns.setdefault(chat_id, asyncio.Lock())
        try:
            async with asyncio.timeout(TURN_S):
                await lock.acquire()
        except TimeoutError:
            raise DatabaseAway(
                f"the chat was busy for {TURN_S} s, nothing was appended"
            ) from None
        try:
            yield
        finally:
            lock.release()

    async def _execute(self, request: _Request) -> Handled:
        # what is not cached may well not exist: creates need no read either
        cached = self._loader.cache.get(request.chat_id) or NOTHING
        handled = await self._try_cached(request, cached)
        if handled is not None:
            return handled
        attempt = 0
        while True:
            fold = await self._loader.load(request.chat_id)
            decision = decide(fold.loaded.state, request.command)
            if isinstance(decision, Rejection):
                return await self._rejected(request, decision)
            try:
                return await self._append(request, fold, decision)
            except (WrongExpectedVersion, StreamPurged):
                attempt += 1
                if attempt == ATTEMPTS:
                    raise
            await asyncio.sleep(random.random() * BACK_OFF_S * 2**attempt)

    async def _try_cached(self, request: _Request, cached: Fold) -> Handled | None:
        """Decide on what may be stale; None when only the newest state can tell."""
        decision = decide(cached.loaded.state, request.command)
        if isinstance(decision, Rejection) or not decision:
            return None
        with suppress(WrongExpectedVersion, StreamPurged):
            return await self._append(request, cached, decision)
        return None

    async def _append(
        self, request: _Request, fold: Fold, events: list[ChatEvent]
    ) -> Handled:
        before = fold.loaded
        if not events:
            return Handled("appended", (), before)
        encoded = tuple(codec.encode(event, request.metadata) for event in events)
        result = await self._appender.append(
            AppendRequest(
                (StreamAppend(request.stream, before.version, encoded, before.digest),),
                request.key,
                request.request_hash,
            )
        )
        where = result.streams[0]
        if result.outcome == "duplicate":
            return await self._duplicate(
                request.stream, where.first_version, where.last_version
            )
        after = after_append(fold, events, encoded, where)
        self._loader.remember(request.chat_id, after)
        return Handled(
            "appended", tuple(enumerate(events, where.first_version)), after.loaded
        )

    async def _rejected(self, request: _Request, rejection: Rejection) -> Handled:
        """A rejection, unless the same request was accepted before."""
        if not request.keyed:
            raise rejection
        async with self._loader.connection() as connection:
            earlier = await store.find_request(connection, request.stream, request.key)
        if earlier is None:
            raise rejection
        if earlier.request_hash != request.request_hash:
            raise KeyReused
        return await self._duplicate(
            request.stream, earlier.first_version, earlier.last_version
        )

    async def _duplicate(self, stream: StreamName, first: int, last: int) -> Handled:
        async with self._loader.connection() as connection:
            recorded = await store.read_stream(
                connection, stream, first - 1, last - first + 1
            )
        decoded = ((e.version, codec.decode(e)) for e in recorded)
        events = tuple((version, e) for version, e in decoded if e is not None)
        return Handled("duplicate", events, await self.load(stream.stream_id))


def _log_command(request: _Request, outcome: str, version: int, seconds: float) -> None:
    logger.info(
        "command handled",
        extra={
            "chat_id": str(request.chat_id),
            "command": type(request.command).__name__,
            "outcome": outcome,
            "version": version,
            "duration_ms": round(seconds * 1000, 1),
        },
    )


def _metadata(
    actor: str, correlation_id: str | None, causation_id: str | None
) -> dict[str, Any]:
    metadata = {"actor": actor}
    if correlation_id is not None:
        metadata["correlation_id"] = correlation_id
    if causation_id is not None:
        metadata["causation_id"] = causation_id
    return metadata


def _identity(key: str | None, request_hash: bytes | None) -> tuple[str, bytes, bool]:
    """Key and hash of a request. Without a caller's key it gets one of its own, so that
    an append whose connection is lost is still appended once."""
    if key is None:
        own = uuid4()
        return f"auto:{own}", own.bytes, False
    if request_hash is None:
        raise ValueError("an idempotency key needs the hash of its request")
    return key, request_hash, True
