"""The log comes back without its last events: everybody notices, nobody diverges."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from projections.registry import PROJECTIONS
from projections.runner import ProjectionRunner
from service.db.guard import Guard
from service.subscription.wakeup import Wakeup
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Client, Stack
from tests.integration.dba.conftest import Site, run, stack_on
from tests.integration.stream.test_follow import a_whole_turn, assert_fresh, on_screen
from tests.integration.stream.test_follow import seen as has_seen

PATIENCE_S = 30

LAG = "SELECT DISTINCT state, lag_events, error FROM ops.projection_lag"


def reasons(client: Client) -> list[str]:
    return [frame.data["reason"] for frame in client.named("bye")]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what the database is about to show."""
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # noqa: ASYNC110 - nobody rings for a view
            await asyncio.sleep(0.05)


@asynccontextmanager
async def projector(site: Site) -> AsyncIterator[ProjectionRunner]:
    """A projector that lives through everything that happens to the server."""
    runner = ProjectionRunner(site.database, PROJECTIONS, Wakeup(), poll_interval_s=0.1)
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        task.cancel()
        await asyncio.wait([task])


async def caught_up(site: Site) -> bool:
    return await site.rows(LAG) == [("running", 0, None)]


@pytest.mark.slow
async def test_restore_of_an_older_dump(home: Site, folder: Path, guard: Guard) -> None:
    """The service runs on while a DBA puts an older database in its place."""
    dump = str(folder / "parley.dump")
    async with stack_on(home, guard) as stack, projector(home):
        chat = await ChatByHand.create(stack)
        await a_whole_turn(chat)
        await until(lambda: caught_up(home))
        await home.run("pg_dump", "--format=custom", f"--file={dump}")
        kept = await chat.state()
        await chat.send("lost")
        await until(lambda: caught_up(home))
        lost = await chat.state()
        async with stack.follow(chat.id) as client:
            await client.until(has_seen("caught_up"))
            await replace(home, dump)
            await client.until(lambda c: c.ended.is_set())
        assert reasons(client) == ["reset"]
        assert stack.chats.peek(chat.id) is None
        async with stack.follow(chat.id, after=client.last_id) as again:
            await again.until(has_seen("caught_up"))
            assert [f.data["reason"] for f in again.named("resync")] == ["ahead"]
            # positions that were lost are given again, to other events
            await chat.send("found")
            await again.until(has_seen("message"))
            await assert_fresh(stack, chat, on_screen(again.frames))
        state = await chat.state()
        assert kept.version < state.version == lost.version
        await until(lambda: caught_up(home))
        assert await home.ask("SELECT * FROM es.who_is_behind()") == ""
        assert await home.ask("SELECT * FROM es.verify_positions(1, 1000)") == ""
        listed = await home.rows("SELECT version FROM read.chats")
        assert listed == [(state.version,)]


async def replace(home: Site, dump: str) -> None:
    """Put the dump in the place of the database, whoever is connected."""
    admin = home.database.dsn.replace("/parley?", "/postgres?")
    older = home.database.dsn.replace("/parley?", "/older?")
    async with await psycopg.AsyncConnection.connect(
        admin, autocommit=True
    ) as connection:
        await connection.execute("CREATE DATABASE older")
        await run("pg_restore", "--exit-on-error", f"--dbname={older}", dump)
        await connection.execute("ALTER DATABASE parley ALLOW_CONNECTIONS false")
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = 'parley'"
        )
        await connection.execute("ALTER DATABASE parley RENAME TO lost")
        await connection.execute("ALTER DATABASE older RENAME TO parley")


@pytest.mark.slow
async def test_failover_that_lost_three_events(home: Site, guard: Guard) -> None:
    """A standby without the last commits takes over and reuses their positions.

    Another process writes before this one has looked: the head is as far as before,
    with other events. Only digests tell.
    """
    server = home.server
    async with stack_on(home, guard) as stack:
        chat, other = await ChatByHand.create(stack), await ChatByHand.create(stack)
        await a_whole_turn(chat)
    await home.project()
    await server.stop()
    await keep(server.data_dir)
    await server.start()
    async with stack_on(home, guard) as stack, projector(home):
        chat.move(stack)
        for text in ("one", "two", "three"):
            await chat.send(text)
        lost = await chat.state()
        await until(lambda: caught_up(home))
        async with (
            stack.follow(chat.id) as client,
            stack.follow(other.id) as neighbour,
        ):
            await client.until(has_seen("caught_up"))
            await neighbour.until(has_seen("caught_up"))
            await server.stop()
            await take_back(server.data_dir)
            stack.muted = True
            await server.start()
            async with Stack(home.database, guard) as elsewhere:
                chat.move(elsewhere)
                for text in ("uno", "due", "tre"):
                    await chat.send(text)
                chat.move(stack)
            await client.until(lambda c: c.ended.is_set())
            await neighbour.until(lambda c: c.ended.is_set())
        assert reasons(client) == reasons(neighbour) == ["reset"]
        found = await chat.state()
        assert found.version == lost.version
        assert [q.parts for q in found.queue] != [q.parts for q in lost.queue]
        # decided on what is there now, although this process knew better
        await chat.send("four")
        async with stack.follow(chat.id, after=client.last_id) as again:
            await again.until(has_seen("caught_up"))
            await assert_fresh(stack, chat, on_screen(again.frames))
        assert [f.data["reason"] for f in again.named("resync")] == ["history"]
        await until(lambda: caught_up(home))
        waiting = [item.id for item in (await chat.state()).queue]
        listed = await home.rows("SELECT id FROM read.queue ORDER BY id")
        assert [queue_id for (queue_id,) in listed] == waiting
        assert await home.ask("SELECT * FROM es.verify_positions(1, 1000)") == ""


async def test_a_read_model_ahead_of_the_log_stops_and_says_so(
    home: Site, guard: Guard
) -> None:
    """Only the log was set back: who has seen more must not go on by itself."""
    async with stack_on(home, guard) as stack:
        chat = await ChatByHand.create(stack)
        await a_whole_turn(chat)
        await home.project()
    head = len(await home.rows("SELECT 1 FROM es.events"))
    await home.rows("ALTER TABLE es.events DISABLE TRIGGER _100_forbid_change")
    await home.rows(
        "DELETE FROM es.events WHERE position > (SELECT max(position) - 3"
        " FROM es.events)"
    )
    await home.project()
    behind = await home.ask(
        "SELECT DISTINCT who, behind_events, state FROM es.who_is_behind()"
    )
    assert behind == (
        f"projection | -3 | stopped: the log ends before position {head}\n"
    )


async def keep(data_dir: Path) -> None:
    """A standby that received everything up to here."""
    await _copy(data_dir / "pgdata", data_dir.parent / "standby")


async def take_back(data_dir: Path) -> None:
    """The standby takes over."""
    (data_dir / "pgdata").rename(data_dir.parent / "old-primary")
    await _copy(data_dir.parent / "standby", data_dir / "pgdata")


async def _copy(source: Path, target: Path) -> None:
    process = await asyncio.create_subprocess_exec("cp", "-a", str(source), str(target))
    assert await process.wait() == 0
