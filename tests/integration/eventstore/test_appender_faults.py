"""Lost connections, lost answers, a server that is killed: each append exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from service.db.guard import Guard
from service.db.migrate import migrate
from service.db.pool import Connection, Database
from service.errors import AppendUnknown, DatabaseAway
from service.eventstore import store
from service.eventstore.appender import Appender
from service.eventstore.records import StreamName
from tests.fixtures.servers import RestartableServer
from tests.integration.eventstore.appends import (
    PATIENCE_S,
    assert_intact,
    event,
    held_head,
    new_stream,
    opened,
    request,
    terminate_appenders,
    whole_log,
    whole_stream,
    words,
)
from tests.integration.eventstore.proxy import proxied


@asynccontextmanager
async def appending(
    database: Database, guard: Guard, deadline_s: float = PATIENCE_S
) -> AsyncIterator[Appender]:
    async with Appender(
        database, guard=guard, queue_size=10_000, deadline_s=deadline_s
    ) as appender:
        yield appender


async def in_log(database: Database, count: int) -> None:
    """Return when the log has that many events."""
    async with asyncio.timeout(PATIENCE_S), opened(database) as connection:
        while len(await store.read_log(connection, 0)) < count:
            pass


async def test_an_answer_that_is_lost_counts_as_appended(
    database: Database, guard: Guard
) -> None:
    """Committed, but nobody heard: the batch is sent again and finds itself."""
    chats = [new_stream() for _ in range(3)]
    async with proxied(database) as proxy, appending(proxy.database, guard) as appender:
        await appender.append(request(chats[0], "first"))
        proxy.swallow()
        tasks = [asyncio.create_task(appender.append(request(c, "x"))) for c in chats]
        await in_log(database, 4)
        proxy.cut()
        async with asyncio.timeout(PATIENCE_S):
            results = await asyncio.gather(*tasks)
    assert [r.outcome for r in results] == ["appended"] * 3
    assert [r.streams[0].last_version for r in results] == [2, 1, 1]
    assert len(await whole_log(database)) == 4
    await assert_intact(database)


async def test_a_key_that_somebody_else_used_meanwhile_is_a_duplicate(
    database: Database, guard: Guard
) -> None:
    """Our first sending came to nothing; another process was the one that appended."""
    chat = new_stream()
    ours = request(chat, event("ours"), expected=0, key="test:same")
    theirs = request(chat, event("theirs"), expected=0, key="test:same")
    async with proxied(database) as proxy, appending(proxy.database, guard) as appender:
        await appender.append(request(new_stream()))
        async with held_head(database) as head:
            task = asyncio.create_task(appender.append(ours))
            await head.waiting()
            proxy.accepts = False
            await terminate_appenders(database)
            await head.release()
        async with opened(database) as connection:
            await store.append(connection, [theirs])
        proxy.accepts = True
        async with asyncio.timeout(PATIENCE_S):
            result = await task
    assert result.outcome == "duplicate"
    assert words(await whole_stream(database, chat)) == ["theirs"]


async def test_a_caller_that_left_in_flight_is_appended_after_a_lost_connection(
    database: Database, appender: Appender
) -> None:
    chat = new_stream()
    async with held_head(database) as head:
        task = asyncio.create_task(appender.append(request(chat, "said")))
        await head.waiting()
        task.cancel()
        await terminate_appenders(database)
        await head.release()
    with pytest.raises(asyncio.CancelledError):
        await task
    await in_log(database, 1)
    assert words(await whole_stream(database, chat)) == ["said"]


async def test_what_was_reported_as_unknown_does_not_come_true_later(
    database: Database, guard: Guard
) -> None:
    async with (
        proxied(database) as proxy,
        appending(proxy.database, guard, deadline_s=2) as appender,
    ):
        await appender.append(request(new_stream(), "first"))
        async with held_head(database) as head:
            task = asyncio.create_task(appender.append(request(new_stream(), "lost")))
            await head.waiting()
            proxy.accepts = False
            await terminate_appenders(database)
            with pytest.raises(AppendUnknown):
                await task
            await head.release()
        proxy.accepts = True
        await appender.append(request(new_stream(), "last"))
    assert words(await whole_log(database)) == ["first", "last"]


async def test_while_the_database_is_away_callers_wait_for_their_deadline(
    database: Database, guard: Guard
) -> None:
    async with (
        proxied(database) as proxy,
        appending(proxy.database, guard, deadline_s=2) as appender,
    ):
        proxy.accepts = False
        with pytest.raises(DatabaseAway):
            await appender.append(request(new_stream(), "too early"))
        waiting = asyncio.create_task(appender.append(request(new_stream(), "patient")))
        await asyncio.sleep(0)
        proxy.accepts = True
        assert (await waiting).outcome == "appended"
    assert words(await whole_log(database)) == ["patient"]


async def test_a_silent_network_is_unknown_and_heals(
    database: Database, guard: Guard
) -> None:
    async with (
        proxied(database) as proxy,
        appending(proxy.database, guard, deadline_s=2) as appender,
    ):
        await appender.append(request(new_stream(), "first"))
        proxy.swallow()
        with pytest.raises(AppendUnknown):
            await appender.append(request(new_stream(), "unheard"))
        proxy.cut()
        await appender.append(request(new_stream(), "last"))
    assert words(await whole_log(database)) == ["first", "unheard", "last"]


WRITERS = 32
EACH = 30


async def under_load(
    database: Database,
    appender: Appender,
    disturb: Callable[[asyncio.Event], Awaitable[None]],
) -> None:
    """Writers that decide on their own last answer, while something disturbs them.

    In the end each of them said everything once, in order.
    """
    streams = [new_stream() for _ in range(WRITERS)]
    done = asyncio.Event()

    async def write(stream: StreamName) -> None:
        digest = None
        for n in range(EACH):
            result = await appender.append(
                request(stream, str(n), expected=n, digest=digest)
            )
            assert result.outcome == "appended"
            assert result.streams[0].last_version == n + 1
            digest = result.streams[0].digest

    async def disturbing() -> None:
        while not done.is_set():
            await disturb(done)

    async with asyncio.timeout(2 * PATIENCE_S), asyncio.TaskGroup() as group:
        group.create_task(disturbing())
        async with asyncio.TaskGroup() as writers:
            for stream in streams:
                writers.create_task(write(stream))
        done.set()
    for stream in streams:
        said = words(await whole_stream(database, stream))
        assert said == [str(n) for n in range(EACH)]
    assert len(await whole_log(database)) == WRITERS * EACH
    await assert_intact(database)


async def last_position(connection: Connection) -> int:
    found = await connection.execute("SELECT max(position) FROM es.events")
    row = await found.fetchone()
    return (row[0] if row else None) or 0


async def grown(connection: Connection, done: asyncio.Event) -> bool:
    """Whether the log has grown. When everything is in it, only answers are missing:
    who cut connections then would cut every one of them."""
    before = await last_position(connection)
    while (last := await last_position(connection)) <= before:
        if last == WRITERS * EACH:
            await done.wait()
            return False
    return True


async def test_backends_terminated_in_a_loop_lose_and_double_nothing(
    database: Database, appender: Appender
) -> None:
    terminated = 0
    async with opened(database) as connection:

        async def terminate(done: asyncio.Event) -> None:
            nonlocal terminated
            if await grown(connection, done):
                terminated += await terminate_appenders(database)

        await under_load(database, appender, terminate)
    assert terminated > 1


async def test_answers_lost_in_a_loop_lose_and_double_nothing(
    database: Database, guard: Guard
) -> None:
    lost = 0
    async with (
        proxied(database) as proxy,
        opened(database) as connection,
        appending(proxy.database, guard) as appender,
    ):

        async def lose_answers(done: asyncio.Event) -> None:
            nonlocal lost
            if not await grown(connection, done):
                return
            swallowed = proxy.swallow()
            waits = [asyncio.create_task(e.wait()) for e in (swallowed, done)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            lost += swallowed.is_set()
            proxy.cut()

        await under_load(database, appender, lose_answers)
    assert lost > 1


@pytest.mark.slow
async def test_a_server_killed_under_load_loses_and_doubles_nothing(
    restartable_server: RestartableServer, guard: Guard
) -> None:
    database = restartable_server.database
    await migrate(database)
    kills = 0
    async with appending(database, guard) as appender:

        async def kill(done: asyncio.Event) -> None:
            nonlocal kills
            async with opened(database) as connection:
                if not await grown(connection, done):
                    return
            await restartable_server.kill()
            await restartable_server.start()
            kills += 1

        await under_load(database, appender, kill)
    assert kills > 0
