"""Which episodes the janitor removes, and which it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from service.db.pool import Connection, Database, connect
from service.live.janitor import Janitor
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.purging import purge
from tests.fixtures.stack import Stack
from tests.integration.faults import cut

AT_ONCE = timedelta(0)
LATER = timedelta(hours=1)


@pytest_asyncio.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    async with await connect(database, role="service", name="test") as opened:
        yield opened


@pytest_asyncio.fixture
async def chat(stack: Stack) -> ChatByHand:
    """A chat whose first attempt has said two things."""
    made = await ChatByHand.create(stack)
    await made.acquire()
    await made.attempt()
    await made.say("a", "b")
    return made


def janitor(
    database: Database, keep: timedelta = AT_ONCE, dead: timedelta = LATER
) -> Janitor:
    return Janitor(database, keep=keep, dead=dead)


async def left(connection: Connection) -> list[tuple[UUID, int, int]]:
    cursor = await connection.execute(
        "SELECT DISTINCT chat_id, epoch, attempt FROM es.live_parts ORDER BY 1, 2, 3"
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def test_an_open_episode_stays(
    database: Database, connection: Connection, chat: ChatByHand
) -> None:
    await chat.send("and this?")
    assert await janitor(database).sweep(connection) == 0
    assert await left(connection) == [(chat.id, 2, 1)]


async def test_an_interrupted_episode_stays_until_its_partial_is_kept(
    database: Database, connection: Connection, chat: ChatByHand
) -> None:
    await chat.interrupt()
    assert await janitor(database).sweep(connection) == 0
    await chat.finish_interruption("ab")
    assert await janitor(database).sweep(connection) == 2


async def test_parts_that_were_flushed_after_a_purge_go_too(
    database: Database, connection: Connection, chat: ChatByHand
) -> None:
    await purge(database, chat.id)
    assert await left(connection) == []
    await connection.execute(
        "INSERT INTO es.live_parts VALUES (%s, 2, 1, 3, '{}')", [chat.id]
    )
    assert await janitor(database).sweep(connection) == 1


@pytest.mark.parametrize("end", ["commit", "retry", "fail", "finish", "interrupt"])
async def test_an_episode_goes_once_the_log_ends_it(
    database: Database, connection: Connection, chat: ChatByHand, end: str
) -> None:
    match end:
        case "commit":
            await chat.commit("ab")
        case "retry":
            await chat.retry_later()
        case "fail":
            await chat.fail()
        case "finish":
            await chat.finish()
        case "interrupt":
            await chat.interrupt()
            await chat.finish_interruption()
    assert await janitor(database).sweep(connection) == 2
    assert await left(connection) == []


async def test_an_abandoned_attempt_goes_and_the_next_one_stays(
    database: Database, connection: Connection, chat: ChatByHand
) -> None:
    await chat.attempt()
    await chat.say("a")
    assert await janitor(database).sweep(connection) == 2
    assert await left(connection) == [(chat.id, 2, 2)]


async def test_an_ended_episode_is_kept_for_its_followers(
    database: Database, connection: Connection, chat: ChatByHand
) -> None:
    await chat.commit("ab")
    assert await janitor(database, keep=LATER).sweep(connection) == 0


async def test_other_chats_are_left_alone(
    database: Database, connection: Connection, chat: ChatByHand, stack: Stack
) -> None:
    other = await ChatByHand.create(stack)
    await other.acquire()
    await other.attempt()
    await other.say("x")
    await other.commit("x")
    assert await janitor(database).sweep(connection) == 1
    assert await left(connection) == [(chat.id, 2, 1)]


async def test_an_episode_that_the_log_does_not_know_goes_by_age(
    database: Database, connection: Connection
) -> None:
    await connection.execute(
        "INSERT INTO es.live_parts (chat_id, epoch, attempt, seq, data)"
        " VALUES (%s, 2, 1, 1, '{}')",
        (uuid4(),),
    )
    assert await janitor(database).sweep(connection) == 0
    assert await janitor(database, dead=AT_ONCE).sweep(connection) == 1


async def test_one_replica_sweeps_at_a_time(
    database: Database, connection: Connection, chat: ChatByHand
) -> None:
    await chat.commit("ab")
    async with (
        await connect(database, role="service", name="other") as other,
        other.transaction(),
    ):
        assert await janitor(database).sweep(other) == 2
        assert await janitor(database).sweep(connection) == 0
    assert await janitor(database).sweep(connection) == 0


async def test_of_two_janitors_one_works_and_the_other_takes_over(
    database: Database, connection: Connection, chat: ChatByHand
) -> None:
    """The lock is the transaction's: it goes with a janitor that dies in a sweep."""
    await chat.commit("ab")
    first, second = janitor(database), janitor(database)
    dying = await connect(database, role="service", name="dying")
    await dying.execute("BEGIN")
    assert await first.sweep(dying) == 2
    assert await second.sweep(connection) == 0
    await cut(database, "dying")
    await dying.close()
    assert await second.sweep(connection) == 2
    assert (first.removed, second.removed) == (2, 2)


async def test_a_slow_sweep_is_not_followed_by_those_that_it_held_up(
    database: Database,
) -> None:
    """The timer is set after the work; another janitor's sweeps tell the time."""
    interval, gate, again = timedelta(milliseconds=20), asyncio.Event(), asyncio.Event()
    begun: list[float] = []
    ended: list[float] = []
    loop = asyncio.get_running_loop()

    class Slow(Janitor):
        async def sweep(self, connection: Connection) -> int:
            begun.append(loop.time())
            if len(begun) == 2:
                again.set()
            await gate.wait()
            ended.append(loop.time())
            return 0

    ticks = asyncio.Queue[int]()
    slow = Slow(database, interval=interval)
    other = Janitor(database, interval=interval, on_swept=ticks.put_nowait)
    tasks = [asyncio.create_task(each.run()) for each in (slow, other)]
    async with asyncio.timeout(10):
        for _ in range(5):
            await ticks.get()
        assert len(begun) == 1
        gate.set()
        await again.wait()
    assert begun[1] - ended[0] >= 0.9 * interval.total_seconds()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_it_sweeps_by_itself(
    database: Database, connection: Connection, chat: ChatByHand
) -> None:
    await chat.commit("ab")
    swept = asyncio.Queue[int]()
    running = Janitor(
        database,
        keep=AT_ONCE,
        interval=timedelta(milliseconds=20),
        on_swept=swept.put_nowait,
    )
    task = asyncio.create_task(running.run())
    async with asyncio.timeout(10):
        assert await swept.get() == 2
        assert await swept.get() == 0
    task.cancel()
    await asyncio.wait([task])
    assert await left(connection) == []
