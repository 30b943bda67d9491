"""Chats that the benchmark writes itself, beside the service that shows them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from scripts.benchmarks.events import HASH, METADATA, assistant_message, chat_created
from service.db.guard import Guard
from service.db.pool import Database
from service.domain.events.chat import ChatEvent
from service.domain.ids import CHAT
from service.eventstore.appender import Appender
from service.eventstore.codec import encode
from service.eventstore.records import ANY, AppendRequest, StreamAppend, StreamName

PAGE = 400
"""Events of one append when many are wanted."""


@dataclass(slots=True)
class Chat:
    """A chat of the first user that waits for nothing: no worker touches it."""

    appender: Appender
    chat_id: UUID = field(default_factory=uuid4)
    version: int = 0

    async def append(self, *events: ChatEvent) -> None:
        """Append these events, all together."""
        encoded = tuple(encode(event, METADATA) for event in events)
        stream = StreamName(CHAT, self.chat_id)
        request = AppendRequest(
            (StreamAppend(stream, ANY, encoded),), f"bench:{uuid4()}", HASH
        )
        result = await self.appender.append(request)
        self.version = result.streams[0].last_version

    async def append_messages(self, count: int) -> None:
        """Append this many assistant messages, in large appends."""
        for first in range(0, count, PAGE):
            batch = min(PAGE, count - first)
            await self.append(*[assistant_message()] * batch)


@asynccontextmanager
async def writing(database: Database) -> AsyncIterator[Appender]:
    """An appender of the benchmark's own."""
    async with Appender(
        database, guard=Guard("raise"), queue_size=10_000, deadline_s=30.0
    ) as appender:
        yield appender


async def new_chat(appender: Appender, *more: ChatEvent) -> Chat:
    """A chat with its first event, and `more`."""
    chat = Chat(appender)
    events: Sequence[ChatEvent] = (chat_created(), *more)
    await chat.append(*events)
    return chat
