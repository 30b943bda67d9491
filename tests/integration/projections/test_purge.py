"""A purged chat leaves every read model, and a rebuild gives the same."""

from __future__ import annotations

from uuid import UUID

import pytest

from projections.rebuild import rebuild
from projections.registry import PROJECTIONS
from tests import builders as b
from tests.integration.projections.test_rebuild import compared, fill
from tests.integration.projections.world import World, projecting

PURGED = UUID(int=1)
PER_STREAM = [projection for projection in PROJECTIONS if projection.per_stream]
TABLES = [table for projection in PER_STREAM for table in projection.tables]


async def purge(world: World, stream_id: UUID = PURGED) -> None:
    await world.rows(
        "SELECT * FROM es.purge_stream('chat', %s, 'admin', 'asked for')", stream_id
    )


async def rows_of(world: World, stream_id: UUID = PURGED) -> int:
    """Rows of the stream in every version of every read model."""
    tables = await world.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'read'::regnamespace"
        " AND relkind = 'r' AND split_part(relname, '__', 1) = ANY (%s)",
        TABLES,
    )
    total = 0
    for (table,) in tables:
        ((count,),) = await world.rows(
            f"SELECT count(*) FROM read.{table} AS t"  # noqa: S608
            " WHERE to_jsonb(t) ->> %s = %s",
            "id" if table.startswith("chats") else "chat_id",
            str(stream_id),
        )
        total += count
    return int(total)


async def differences(world: World) -> list[str]:
    return [p.name for p in PER_STREAM if not (await compared(world, p)).empty]


async def rebuild_all(world: World) -> None:
    for projection in PER_STREAM:
        await rebuild(world.database, projection, batch_size=5)


async def test_purged_chat_is_gone_and_a_rebuild_gives_the_same(world: World) -> None:
    await fill(world, chats=4)
    assert await rows_of(world) > 0
    await purge(world)
    async with projecting(world) as projector:
        await projector.catches_up()
    assert await rows_of(world) == 0
    assert await rows_of(world, UUID(int=2)) > 0
    await rebuild_all(world)
    assert await differences(world) == []


@pytest.mark.parametrize("at", ["begun", "batch", "built", "finishing"])
async def test_purge_in_the_middle_of_a_rebuild(world: World, at: str) -> None:
    await fill(world, chats=4)
    purged = False

    async def step(name: str) -> None:
        nonlocal purged
        if name == at and not purged:
            purged = True
            await purge(world)

    for projection in PER_STREAM:
        await rebuild(world.database, projection, batch_size=5, step=step)
    async with projecting(world) as projector:
        await projector.cycles(2)
    assert await rows_of(world) == 0
    assert await differences(world) == []


async def test_parked_chat_that_is_purged_is_parked_no_more(world: World) -> None:
    await world.append(PURGED, *b.a_chat())
    async with projecting(world) as projector:
        await projector.catches_up()
        await world.execute(
            "INSERT INTO ops.parked_streams (projection, version, category, stream_id,"
            " position, event_version, event_type, error)"
            " VALUES ('messages', 1, 'chat', %s, 2, 2, 'message_appended', 'x')",
            PURGED,
        )
        await purge(world)
        projector.wakeup.ring()
        await projector.catches_up()
    assert await rows_of(world) == 0
    assert await world.rows("SELECT FROM ops.parked_streams") == []
