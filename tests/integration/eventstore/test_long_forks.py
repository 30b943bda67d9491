"""A fork of a long chat: whole, intact, and the loop is free for others meanwhile."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from uuid import UUID, uuid4

import pytest

from service.db.guard import Guard
from service.db.pool import Database
from service.domain.events.chat import ChatEvent
from service.eventstore import codec
from service.eventstore.appender import Appender
from service.eventstore.handle import Chats
from service.eventstore.records import StreamName
from tests.builders import (
    NOW,
    OWNER,
    acquired,
    assistant,
    attempt,
    committed,
    created,
    turn_finished,
    user,
)
from tests.integration.eventstore.appends import assert_intact, request
from tests.integration.eventstore.replicas import (
    another_process,
    recorded,
    state_in_log,
)

LENGTH = 10_000

LONGEST_S = 0.1
"""CPU of a slice is some 10 ms; in one piece it would be 0.4 s."""


def turns(count: int) -> Iterator[ChatEvent]:
    """A chat of so many turns of six events; the last one ends."""
    yield from (created(), user("lorem ipsum"))
    for term in range(1, count + 1):
        version = 6 * term - 4
        yield from (acquired(term), attempt(version))
        yield assistant("dolor sit amet " * 20, epoch=version, attempt=1)
        yield from (committed(version), turn_finished(version))
        yield user("and then?")


async def a_long_chat(appender: Appender) -> UUID:
    """In appends of 400 events."""
    stream = StreamName("chat", uuid4())
    events = [codec.encode(e, {"actor": "a"}) for e in turns(LENGTH // 6)][:LENGTH]
    for start in range(0, len(events), 400):
        await appender.append(request(stream, *events[start : start + 400]))
    return stream.stream_id


@asynccontextmanager
async def the_loop_stays_free() -> AsyncIterator[None]:
    """Nothing takes the loop's thread for long; the collector of garbage aside."""
    loop = asyncio.get_running_loop()
    readings: list[float] = []

    def read() -> None:
        nonlocal timer
        readings.append(time.thread_time())
        timer = loop.call_later(0.001, read)

    gc.disable()
    timer: asyncio.Handle = loop.call_soon(read)
    try:
        yield
    finally:
        timer.cancel()
        gc.enable()
    longest = max(after - before for before, after in pairwise(readings))
    assert longest < LONGEST_S


@pytest.mark.slow
async def test_a_fork_of_10_000_events(
    database: Database, guard: Guard, chats: Chats, appender: Appender
) -> None:
    source_id, new_id = await a_long_chat(appender), uuid4()
    async with the_loop_stays_free():
        handled = await chats.fork(
            source_id, new_id, version=None, owner_id=OWNER, now=NOW, actor="a"
        )
    length = len(await recorded(database, source_id))
    assert handled.loaded.version == length + 1
    assert handled.loaded.state == await state_in_log(database, new_id)
    async with another_process(database, guard) as others:
        async with the_loop_stays_free():
            loaded = await others.load(new_id)
        assert loaded == handled.loaded
        async with the_loop_stays_free():
            past = await others.load_at(source_id, length // 2)
        assert past.version >= length // 2
    await assert_intact(database)
