"""Whatever dies at whichever step of a rebuild or a swap: readers see one whole model.

An old replica projects all the while and chats go on. Each drill ends with the command
run again to its end.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from projections.diff import diff
from projections.messages import MESSAGES
from projections.rebuild import rebuild
from projections.registry import PROJECTIONS
from projections.swap import swap
from projections.tables import make_read_models
from projections.versions import active, pick, sweep, versions
from service.db.migrate import migrate
from service.db.pool import Database, connect
from service.errors import SetupError
from tests import builders as b
from tests.fixtures.servers import RestartableServer
from tests.integration.projections.drill import STEPS
from tests.integration.projections.test_outage import opened
from tests.integration.projections.world import World, projecting

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
LONG_S = 60.0
CHATS = [UUID(int=number) for number in range(1, 9)]

Step = Callable[[str], Awaitable[None]]


async def begin(world: World) -> None:
    for chat_id in CHATS:
        await world.append(chat_id, *b.a_chat())


async def command(database: Database, what: str, step: Step) -> None:
    """One of the two, in this process."""
    if what == "rebuild":
        await rebuild(database, MESSAGES, step=step, batch_size=20)
        return
    async with await connect(database, role="projector", name="swap") as connection:
        new = await pick(connection, "messages", None)
        await swap(connection, database, MESSAGES, new, step=step)


async def no_step(_name: str) -> None:
    return None


@asynccontextmanager
async def watched(database: Database) -> AsyncIterator[None]:
    """A reader that looks all the time: what it saw once is never gone."""
    done = asyncio.Event()

    async def watch() -> int:
        seen = looks = 0
        async with await connect(database, role="service", name="reader") as reader:
            while not done.is_set():
                cursor = await reader.execute("SELECT count(*) FROM read.messages")
                ((count,),) = await cursor.fetchall()
                assert count >= seen
                seen, looks = count, looks + 1
                with suppress(TimeoutError):
                    await asyncio.wait_for(done.wait(), 0.01)
        return looks

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        done.set()
        assert await task > 0


async def assert_whole(world: World, posted: int) -> None:
    """Readers see every message, in the version that `ops.projections` names."""
    for chat_id in CHATS:
        assert len(await world.messages(chat_id)) == 1 + posted
    ((shown,),) = await world.rows(
        "SELECT pg_get_viewdef('read.messages')"
        " ~ ('messages__v' || active_version || ' ')"
        " FROM ops.projections WHERE name = 'messages'"
    )
    assert shown


async def ends_well(database: Database) -> None:
    """Sweep, then both commands to their end; nothing differs, nothing is left."""
    async with await connect(database, role="projector", name="next") as connection:
        await sweep(connection, database)
        found = await versions(connection, "messages")
        assert {v.state for v in found} == {"running"}
        await rebuild(database, MESSAGES)
        old = await active(connection, "messages")
        new = await pick(connection, "messages", None)
        assert (await diff(connection, MESSAGES, old, new)).empty
        await swap(connection, database, MESSAGES, new)


async def post(world: World) -> None:
    for chat_id in CHATS:
        await world.append(chat_id, b.user("more"))


@pytest.mark.parametrize(("what", "at"), STEPS)
async def test_killed_command(world: World, what: str, at: str) -> None:
    await begin(world)
    database = world.database
    async with projecting(world) as old_replica, watched(database):
        await old_replica.catches_up()
        if what == "swap":
            await rebuild(database, MESSAGES)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.integration.projections.drill",
            database.dsn, database.role_prefix, what, at,
            cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        async with asyncio.timeout(LONG_S):
            assert await process.stdout.readline() == f"{at}\n".encode()
            await post(world)
            process.kill()
            await process.communicate()
            await _backends_gone(world)
        await old_replica.cycles(3)
        await assert_whole(world, 1)
        await ends_well(database)
        await post(world)
        await old_replica.cycles(3)
        await assert_whole(world, 2)


async def _backends_gone(world: World) -> None:
    """A killed client's session ends when the server notices; ask until it has."""
    while await world.rows(
        "SELECT FROM pg_stat_activity WHERE application_name IN"
        " ('parley/rebuild', 'parley/swap')"
    ):
        await world.rows("SELECT pg_sleep(0.02)")


@pytest.mark.parametrize("what", ["rebuild", "swap"])
async def test_projector_cut_off_at_every_step(world: World, what: str) -> None:
    await begin(world)
    if what == "swap":
        await rebuild(world.database, MESSAGES)
    posted = 0

    async def step(_name: str) -> None:
        nonlocal posted
        if posted < 5:
            posted += 1
            await post(world)
        await world.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'parley/projector'"
        )

    async with projecting(world, poll_interval_s=0.1) as replica:
        await replica.catches_up()
        async with watched(world.database):
            await command(world.database, what, step)
            await replica.cycles(3)
    assert replica.runner.tally.reconnects > 0
    async with projecting(world) as replica:
        await replica.cycles(2)
    await assert_whole(world, posted)
    await ends_well(world.database)


async def test_killed_postgres_at_every_step(
    restartable_server: RestartableServer,
) -> None:
    database = restartable_server.database
    await migrate(database)
    await make_read_models(database, PROJECTIONS)
    async with opened(database) as world:
        await begin(world)
    for posted, (what, at) in enumerate(STEPS, 1):
        if what == "swap":
            await rebuild(database, MESSAGES)
        reached = False

        async def step(name: str, at: str = at) -> None:
            nonlocal reached
            if name == at and not reached:
                reached = True
                await restartable_server.kill()
                await restartable_server.start()

        async with projecting(world, poll_interval_s=0.1) as old_replica:
            with suppress(psycopg.OperationalError, SetupError):
                await command(database, what, step)
            assert reached
            async with opened(database) as world:
                old_replica.world = world
                await old_replica.catches_up()
                await assert_whole(world, posted - 1)
                async with await connect(
                    database, role="projector", name="next"
                ) as connection:
                    await sweep(connection, database)
                assert {v.state for v in await versions(world.admin, "messages")} == {
                    "running"
                }
                await post(world)
                await old_replica.cycles(3)
                await assert_whole(world, posted)
    await ends_well(database)


async def test_two_releases_side_by_side(world: World) -> None:
    """Each feeds only what its own definition made; the swap waits for neither."""
    newer = replace(MESSAGES, version=2)
    await begin(world)
    async with projecting(world) as old_replica, watched(world.database):
        await old_replica.catches_up()
        await rebuild(world.database, newer)
        async with (
            projecting(world, [newer]) as new_replica,
            await connect(world.database, role="projector", name="x") as connection,
        ):
            old, new = await versions(connection, "messages")
            assert (old.definition, new.definition) == (1, 2)
            await post(world)
            # the new release alone goes on, so the old version is behind
            await new_replica.cycles(2)
            comparing = asyncio.create_task(diff(connection, newer, old, new))
            done, _ = await asyncio.wait([comparing], timeout=0.5)
            assert not done
            await old_replica.cycles(2)
            async with asyncio.timeout(LONG_S):
                assert (await comparing).empty
            await post(world)
            await old_replica.cycles(2)
            await swap(connection, world.database, newer, new)
            await assert_whole(world, 2)
            with pytest.raises(SetupError, match="use the release that built it"):
                await swap(connection, world.database, newer, old)
            await post(world)
            await old_replica.cycles(2)
            await new_replica.cycles(2)
            await assert_whole(world, 3)
            # the way back, by the old release
            await swap(connection, world.database, MESSAGES, old)
            await assert_whole(world, 3)
