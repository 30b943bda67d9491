"""Chats as processes have them, scenes that tests begin with, and what the log says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from service.db.guard import Guard
from service.db.pool import Database, Pool
from service.domain.chat.evolve import fold
from service.domain.chat.state import ChatState
from service.domain.commands.chat import ChatCommand
from service.domain.events.chat import ChatEvent
from service.eventstore import codec
from service.eventstore.appender import Appender
from service.eventstore.handle import Chats, Handled
from service.eventstore.records import RecordedEvent, StreamName
from tests.builders import (
    BROWSER,
    acquire,
    browse,
    commit_step,
    create,
    draft,
    finish_turn,
    require_action,
    send,
    start_attempt,
)
from tests.integration.eventstore.appends import whole_stream

CACHE_BYTES = 1_000_000


@asynccontextmanager
async def another_process(database: Database, guard: Guard) -> AsyncIterator[Chats]:
    """Chats with a pool, an appender and a cache of their own."""
    async with (
        Pool(database, guard=guard, size=2) as pool,
        Appender(database, guard=guard, queue_size=1_000, deadline_s=60) as appender,
    ):
        yield Chats(pool, appender, cache_bytes=CACHE_BYTES)


async def told(chats: Chats, chat_id: UUID, *commands: ChatCommand) -> Handled:
    """Commands one after the other; what became of the last one."""
    for command in commands:
        handled = await chats.execute(chat_id, command, actor="a")
    return handled


def a_turn(epoch: int = 2) -> Sequence[ChatCommand]:
    """The worker takes a chat of version 2, answers and is done: version 7, waiting."""
    return [acquire(), start_attempt(epoch), commit_step(epoch), finish_turn(epoch + 3)]


async def running(chats: Chats) -> UUID:
    """A chat whose worker has begun an attempt; epoch 2, version 4."""
    chat_id = uuid4()
    await told(chats, chat_id, create(), acquire(), start_attempt(2))
    return chat_id


async def idle(chats: Chats) -> UUID:
    """A chat that waits after one turn; version 7."""
    chat_id = uuid4()
    await told(chats, chat_id, create(), *a_turn())
    return chat_id


async def asking(chats: Chats) -> UUID:
    """A chat that waits for its client's answer to `c1`; version 7."""
    chat_id = uuid4()
    commands = [create(client_tools=(BROWSER,)), acquire(), start_attempt(2)]
    answer = commit_step(2, draft(browse()))
    await told(chats, chat_id, *commands, answer, require_action(5))
    return chat_id


async def family(chats: Chats, children: int = 2) -> tuple[UUID, list[UUID]]:
    """A root and its children, all of them waiting."""
    root_id, child_ids = uuid4(), [uuid4() for _ in range(children)]
    await told(chats, root_id, create("root"))
    for child_id in child_ids:
        await chats.spawn(root_id, child_id, create("child"), actor="a")
        await told(chats, child_id, *a_turn())
    await told(chats, root_id, acquire(), start_attempt(2), commit_step(2))
    epoch = (await chats.load(root_id)).state.epoch
    await told(chats, root_id, finish_turn(epoch))
    return root_id, child_ids


async def queueing(chats: Chats, *words: str) -> UUID:
    """A running chat with an answer, and these words in its queue; epoch 5."""
    chat_id = await running(chats)
    await told(chats, chat_id, commit_step(2), *(send(word) for word in words))
    return chat_id


async def recorded(database: Database, chat_id: UUID) -> list[RecordedEvent]:
    return await whole_stream(database, StreamName("chat", chat_id))


async def events_in_log(database: Database, chat_id: UUID) -> list[ChatEvent | None]:
    return [codec.decode(e) for e in await recorded(database, chat_id)]


async def types_in_log(database: Database, chat_id: UUID) -> list[str]:
    return [event.type for event in await recorded(database, chat_id)]


async def state_in_log(database: Database, chat_id: UUID) -> ChatState:
    return fold(ChatState(), await events_in_log(database, chat_id))
