"""The flusher against a real table: order, outages, bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import pytest_asyncio

from service.db.migrate import migrate
from service.db.pool import Database, Pool, connect
from service.live.flush import Flusher, PartWriter
from service.live.read import LivePart, read_episode
from tests.fixtures.servers import RestartableServer
from tests.integration.faults import cut

PATIENCE_S = 20.0


@pytest_asyncio.fixture
async def flusher(database: Database) -> AsyncIterator[Flusher]:
    async with Flusher(database) as running:
        yield running


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


async def drained(writer: PartWriter) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await writer.drain()


async def rows(
    database: Database, chat: UUID, epoch: int = 2, attempt: int = 1
) -> list[LivePart]:
    async with await connect(database, role="service", name="test") as connection:
        return await read_episode(connection, chat, epoch, attempt)


def joined(parts: list[LivePart]) -> str:
    assert [part.seq for part in parts] == list(range(1, len(parts) + 1))
    return "".join(part.data["part"]["text"] for part in parts)


async def test_a_part_is_written_at_once_when_idle(
    flusher: Flusher, database: Database
) -> None:
    chat = uuid4()
    writer = flusher.open(chat, 2, 1)
    writer.write(text("1"))
    await drained(writer)
    (part,) = await rows(database, chat)
    assert part.data == {"role": "assistant", "part": text("1")}


async def test_what_waits_for_the_same_flush_is_one_row(
    flusher: Flusher, database: Database
) -> None:
    chat = uuid4()
    writer = flusher.open(chat, 2, 1)
    for number in range(100):
        writer.write(text(f"{number} "))
    await drained(writer)
    assert len(await rows(database, chat)) == 1


async def test_a_thousand_deltas_arrive_in_order_and_whole(
    flusher: Flusher, database: Database
) -> None:
    chats = [uuid4() for _ in range(20)]
    writers = [flusher.open(chat, 2, 1) for chat in chats]
    for number in range(50):
        for writer in writers:
            writer.write(text(f"{number} "))
        await asyncio.sleep(0)
    for writer in writers:
        await drained(writer)
    expected = "".join(f"{number} " for number in range(50))
    for chat in chats:
        assert joined(await rows(database, chat)) == expected
    # twenty chats share their flushes
    assert flusher.flushes < 100


async def test_flushes_are_apart(flusher: Flusher) -> None:
    writer = flusher.open(uuid4(), 2, 1)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for _ in range(10):
        writer.write(text("x"))
        await drained(writer)
    # the first goes at once, each other at least 4 ms after the one before
    assert loop.time() - begun >= 9 * 0.004


async def test_a_closed_episode_is_not_written(
    flusher: Flusher, database: Database
) -> None:
    chat = uuid4()
    writer = flusher.open(chat, 2, 1)
    writer.write(text("1"))
    writer.close()
    writer.write(text("2"))
    await drained(writer)
    other = flusher.open(uuid4(), 2, 1)
    await drained(other)
    assert await rows(database, chat) == []


async def test_after_a_cut_connection_rows_stand_once(
    flusher: Flusher, database: Database
) -> None:
    chat = uuid4()
    writer = flusher.open(chat, 2, 1)
    for word in ("a", "b", "c"):
        writer.write(text(word))
        await drained(writer)
    assert await cut(database, "live") == 1
    writer.write(text("d"))
    await drained(writer)
    assert joined(await rows(database, chat)) == "abcd"


async def test_after_a_lost_connection_the_open_episode_is_written_again(
    flusher: Flusher, database: Database
) -> None:
    """A crash of Postgres empties the table; here somebody else does."""
    chat, over = uuid4(), uuid4()
    writer, closed = flusher.open(chat, 2, 1), flusher.open(over, 2, 1)
    closed.write(text("x"))
    for word in ("a", "b"):
        writer.write(text(word))
        await drained(writer)
    closed.close()
    async with await psycopg.AsyncConnection.connect(
        database.dsn, autocommit=True
    ) as connection:
        await connection.execute("TRUNCATE es.live_parts")
    assert await cut(database, "live") == 1
    await drained(writer)
    parts = await rows(database, chat)
    assert [(p.seq, p.data["part"]["text"]) for p in parts] == [(1, "a"), (2, "b")]
    assert await rows(database, over) == []


async def test_an_unknown_outcome_repeats_row_for_row(
    flusher: Flusher, database: Database
) -> None:
    """Rows keep seq and content, although more was said meanwhile."""
    chat = uuid4()
    writer = flusher.open(chat, 2, 1)
    writer.write(text("a"))
    await drained(writer)
    for _ in range(5):
        assert await cut(database, "live") == 1
        writer.write(text("b"))
        writer.write(text("b"))
        await drained(writer)
    assert joined(await rows(database, chat)) == "a" + 10 * "b"


async def test_parts_beyond_the_cap_are_dropped_and_counted(
    database: Database,
) -> None:
    chat = uuid4()
    async with Flusher(database, episode_bytes=10_000) as flusher:
        writer = flusher.open(chat, 2, 1)
        for _ in range(30):
            writer.write(text("x" * 1000))
        await drained(writer)
        kept = joined(await rows(database, chat))
        assert 8_000 < len(kept) < 10_000
        assert writer.dropped == flusher.dropped == 30 - len(kept) // 1000


async def test_a_part_that_the_database_refuses_ends_its_episode_alone(
    flusher: Flusher, database: Database
) -> None:
    bad, good = uuid4(), uuid4()
    refused, taken = flusher.open(bad, 2, 1), flusher.open(good, 2, 1)
    taken.write(text("a"))
    refused.write(text("NUL \x00"))
    taken.write(text("b"))
    await drained(taken)
    await drained(refused)
    assert joined(await rows(database, good)) == "ab"
    assert await rows(database, bad) == []
    taken.write(text("c"))
    await drained(taken)
    assert joined(await rows(database, good)) == "abc"
    assert flusher.dropped == 1


async def test_a_flush_does_not_wait_for_the_disk(database: Database) -> None:
    """The statement turns synchronous_commit off for its own transaction only."""
    async with await connect(database, role="service", name="test") as connection:
        from service.live.flush import INSERT

        seen = INSERT.replace(
            "ON CONFLICT DO NOTHING", "RETURNING current_setting('synchronous_commit')"
        )
        cursor = await connection.execute(
            seen, ([uuid4()], [2], [1], [1], ['{"role": "assistant"}'])
        )
        assert await cursor.fetchall() == [("off",)]
        cursor = await connection.execute("SHOW synchronous_commit")
        assert await cursor.fetchall() == [("on",)]


async def test_the_doorbell_names_the_chats(
    flusher: Flusher, database: Database
) -> None:
    chat = uuid4()
    async with await psycopg.AsyncConnection.connect(
        database.dsn, autocommit=True
    ) as listener:
        await listener.execute("LISTEN parley_live")
        writer = flusher.open(chat, 2, 1)
        writer.write(text("1"))
        async for heard in listener.notifies(timeout=PATIENCE_S, stop_after=1):
            assert str(chat) in heard.payload


@asynccontextmanager
async def migrated(server: RestartableServer) -> AsyncIterator[Database]:
    await migrate(server.database)
    yield server.database


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_postgres_that_comes_back_has_the_open_episode(
    restartable_server: RestartableServer, how: str
) -> None:
    """Restarted it still has the rows, killed it has none: the same in the end."""
    chat = uuid4()
    go_down: Callable[[], Any] = getattr(restartable_server, how)
    async with migrated(restartable_server) as database, Flusher(database) as flusher:
        writer = flusher.open(chat, 2, 1)
        for word in ("a", "b"):
            writer.write(text(word))
            await drained(writer)
        await go_down()
        writer.write(text("c"))
        await restartable_server.start()
        await drained(writer)
        assert joined(await rows(database, chat)) == "abc"


async def test_a_flusher_ends_while_the_database_is_away(pool: Pool) -> None:
    nowhere = Database("postgresql://127.0.0.1:1/none?connect_timeout=1")
    async with asyncio.timeout(PATIENCE_S), Flusher(nowhere) as flusher:
        writer = flusher.open(uuid4(), 2, 1)
        writer.write(text("a"))
        await asyncio.sleep(0)
