"""Chats of one process: their states from a cache, and every way to change them.

A command may be about one chat, or about several that stand or fall together: a
family that is archived, a child that is spawned. A fork is a copy of one chat's events
in another. How all of them are decided and appended is in `executor`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Unpack
from uuid import UUID

from service.db.pool import Pool
from service.domain.commands.chat import ChatCommand, CreateChat, UpdateChat
from service.errors import Rejection
from service.eventstore import codec
from service.eventstore.appender import Appender
from service.eventstore.executor import Executor
from service.eventstore.fold import Loaded as Loaded
from service.eventstore.forks import Fork
from service.eventstore.loader import Loader
from service.eventstore.past import Past
from service.eventstore.plans import Family, One, Spawn
from service.eventstore.records import RecordedEvent
from service.eventstore.requests import Attribution as Attribution
from service.eventstore.requests import Caller
from service.eventstore.requests import Handled as Handled


class Chats:
    """Every chat of this process: its cached state, and the way to change it.

    What changes a chat raises Rejection (KeyReused too), WrongExpectedVersion when
    other processes won every time, Unavailable, FutureEvent. The same key and hash
    again gives the first result; another hash is KeyReused.
    """

    def __init__(self, pool: Pool, appender: Appender, *, cache_bytes: int) -> None:
        self._loader = Loader(pool, cache_bytes=cache_bytes)
        self._executor = Executor(self._loader, appender)
        self._past = Past(self._loader)

    @property
    def history_reads(self) -> int:
        """Statements that read a chat's events to fold them; read by metrics."""
        return self._loader.reads

    async def load(self, chat_id: UUID) -> Loaded:
        """The newest state; version 0 for a chat that does not exist.

        Sees everything committed before the call. Raises FutureEvent, DatabaseAway.
        """
        return (await self._loader.load(chat_id)).loaded

    async def load_at(self, chat_id: UUID, version: int) -> Loaded:
        """The state at a version, or at the append border after it.

        Raises Rejection: `chat-not-found`, `unknown-version`.
        """
        loaded = await self._past.load(chat_id, version)
        if isinstance(loaded, Rejection):
            raise loaded
        return loaded

    async def execute(
        self,
        chat_id: UUID,
        command: ChatCommand,
        **caller: Unpack[Attribution],
    ) -> Handled:
        """Decide and append."""
        request = Caller(**caller).asks(chat_id, type(command).__name__)
        return await self._executor.run(request, One(chat_id, command), chats=[chat_id])

    async def execute_family(
        self,
        root_id: UUID,
        command: UpdateChat,
        **caller: Unpack[Attribution],
    ) -> Handled:
        """Change the root; when it goes to the archive, or comes back, so do its
        children, in one append. One that is active keeps all of them where they are.

        What the caller gets is the root's.
        """
        request = Caller(**caller).asks(root_id, type(command).__name__)
        root = self.peek(root_id) or await self.load(root_id)
        return await self._executor.run(
            request, Family(root_id, command), chats=[root_id, *root.state.children]
        )

    async def spawn(
        self,
        root_id: UUID,
        child_id: UUID,
        command: CreateChat,
        **caller: Unpack[Attribution],
    ) -> Handled:
        """Create a child of a root that runs, in one append.

        It has the root's organization and client type. What the caller gets is the
        child's.
        """
        request = Caller(**caller).asks(child_id, type(command).__name__)
        return await self._executor.run(
            request,
            Spawn(root_id, child_id, command, caller["actor"]),
            chats=[root_id, child_id],
        )

    async def fork(
        self,
        source_id: UUID,
        new_id: UUID,
        *,
        version: int | None,
        owner_id: UUID,
        now: datetime,
        **caller: Unpack[Attribution],
    ) -> Handled:
        """A new chat that begins as a copy, up to the append border at or after
        `version`; None: of everything.

        Raises Rejection: `chat-not-found`, `unknown-version`.
        """
        request = Caller(**caller).asks(new_id, "ForkChat")
        fork = Fork(
            self._loader,
            self._past,
            source_id=source_id,
            new_id=new_id,
            version=version,
            owner_id=owner_id,
            actor=caller["actor"],
            now=now,
        )
        return await self._executor.run(request, fork, chats=[new_id])

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
