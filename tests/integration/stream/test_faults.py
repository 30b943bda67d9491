"""Open streams while the database is cut off, restarted, killed or replaced."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from psycopg.types.json import Jsonb

from service.db.guard import Guard
from service.db.migrate import migrate
from service.db.pool import Database
from service.errors import FutureEvent
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.servers import RestartableServer
from tests.fixtures.stack import Client, Stack
from tests.integration.stream.test_follow import (
    a_whole_turn,
    assert_fresh,
    ended,
    on_screen,
    seen,
)

KILL_NAMED = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = %s
"""


async def kill(database: Database, application: str) -> None:
    async with await psycopg.AsyncConnection.connect(
        database.dsn, autocommit=True
    ) as connection:
        cursor = await connection.execute(KILL_NAMED, (application,))
        assert await cursor.fetchall(), f"nobody is called {application}"


@pytest.mark.parametrize("whose", ["parley/listener", "parley/tail", "parley/service"])
async def test_a_cut_connection_loses_nothing(stack: Stack, whose: str) -> None:
    chat = await ChatByHand.create(stack)
    async with stack.follow(chat.id) as client:
        await client.until(seen("caught_up"))
        await kill(stack.database, whose)
        await a_whole_turn(chat)
        await client.until(ended(2))
    assert len(client.named("snapshot")) == 1
    await assert_fresh(stack, chat, on_screen(client.frames))


@asynccontextmanager
async def on(server: RestartableServer, guard: Guard) -> AsyncIterator[Stack]:
    await migrate(server.database)
    async with Stack(server.database, guard, heartbeat_s=0.2) as stack:
        yield stack


def stale(client: Client) -> bool:
    return "stale" in client.comments


async def test_streams_stay_open_over_a_fast_restart(
    restartable_server: RestartableServer, guard: Guard
) -> None:
    """UNLOGGED tables stay: the open episode goes on where it was."""
    async with on(restartable_server, guard) as stack:
        chat = await ChatByHand.create(stack)
        await chat.acquire()
        await chat.attempt()
        async with stack.follow(chat.id) as client:
            await chat.say("a", "b")
            await client.until(seen("message_part", 2))
            await restartable_server.stop()
            await client.until(stale)
            await restartable_server.start()
            await chat.say("c")
            await chat.commit("abc")
            await chat.finish()
            await client.until(ended())
        assert client.named("preview_reset") == []
        await assert_fresh(stack, chat, on_screen(client.frames))


async def test_streams_stay_open_over_a_kill(
    restartable_server: RestartableServer, guard: Guard
) -> None:
    """UNLOGGED tables are empty: the worker writes its open episode again."""
    async with on(restartable_server, guard) as stack:
        chat = await ChatByHand.create(stack)
        await chat.acquire()
        await chat.attempt()
        async with stack.follow(chat.id) as client:
            await chat.say("a", "b")
            await client.until(seen("message_part", 2))
            await restartable_server.kill()
            await client.until(stale)
            await restartable_server.start()
            chat.seq = 0
            await chat.say("a", "b", "c")
            await client.until(seen("message_part", 3))
            await chat.commit("abc")
            await chat.finish()
            await client.until(ended())
        screen = on_screen(client.frames)
        await assert_fresh(stack, chat, screen)
        assert [f.data["seq"] for f in client.named("message_part")] == [1, 2, 3]


async def test_a_stream_that_starts_while_the_database_is_away_is_told_to_retry(
    restartable_server: RestartableServer, guard: Guard
) -> None:
    async with on(restartable_server, guard) as stack:
        chat = await ChatByHand.create(stack)
        await restartable_server.stop()
        async with stack.follow(chat.id) as client:
            await client.until(seen("error"))
        error = client.named("error")[0]
        assert error.id is None
        assert error.data["error"]["retryable"] is True
        await restartable_server.start()


async def test_another_history_ends_all_streams(stack: Stack) -> None:
    """A failover that lost commits: the log holds other events at our position."""
    chat = await ChatByHand.create(stack)
    async with stack.follow(chat.id) as client:
        await client.until(seen("caught_up"))
        stack.tail._digest = b"another history"
        await kill(stack.database, "parley/tail")
        await client.until(seen("bye"))
    assert client.named("bye")[0].data["reason"] == "reset"
    async with stack.follow(chat.id, after=client.last_id) as again:
        await again.until(seen("caught_up"))
    assert again.named("resync") == []


async def test_an_event_of_a_newer_release_ends_the_stream(
    stack: Stack, superuser_dsn: str
) -> None:
    chat = await ChatByHand.create(stack)
    async with stack.follow(chat.id) as client:
        await client.until(seen("caught_up"))
        async with await psycopg.AsyncConnection.connect(
            superuser_dsn, autocommit=True
        ) as connection:
            await connection.execute(
                """
                SELECT * FROM es.append(
                  '{1}', '{chat}', ARRAY[%s::uuid], '{-1}', '{NULL}', '{future}',
                  ARRAY['\\x00'::bytea], '{1}', '{chat_teleported}', '{1}',
                  ARRAY[%s::jsonb], ARRAY['{}'::jsonb])
                """,
                (chat.id, Jsonb({"at": "2030-01-01T00:00:00Z"})),
            )
        await client.until(seen("bye"))
    assert client.named("bye")[0].data["reason"] == "upgrade"
    with pytest.raises(FutureEvent):
        await stack.chats.load(chat.id)
    async with stack.follow(chat.id, after="2") as again:
        await again.until(seen("bye"))
