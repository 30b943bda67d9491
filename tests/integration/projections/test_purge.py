"""A purged chat leaves every read model, and a rebuild gives the same."""

from __future__ import annotations

import random
from uuid import UUID

import pytest

from projections.rebuild import rebuild
from projections.registry import PROJECTIONS
from projections.usage_ledger import USAGE_LEDGER
from projections.watch_feed import WATCH_FEED
from tests import builders as b
from tests.integration.projections.test_rebuild import compared, fill, swapped
from tests.integration.projections.world import World, projecting

PURGED = UUID(int=1)
PER_STREAM = [p for p in PROJECTIONS if p.per_stream and p is not USAGE_LEDGER]
"""What was spent on a chat stays."""
TABLES = [table for projection in PER_STREAM for table in projection.tables]
TABLES.append("watch_chats")


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
    return [p.name for p in PROJECTIONS if not (await compared(world, p)).empty]


async def rebuild_all(world: World) -> None:
    for projection in PROJECTIONS:
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
    for projection in PROJECTIONS:
        await swapped(world, projection)
    assert await rows_of(world) == 0


@pytest.mark.parametrize("at", ["begun", "batch", "built", "finishing"])
async def test_purge_in_the_middle_of_a_rebuild(world: World, at: str) -> None:
    """Another chat goes in the rebuild of each read model."""
    await fill(world, chats=len(PROJECTIONS) + 3)
    for number, projection in enumerate(PROJECTIONS, start=1):
        waiting = [UUID(int=number)]

        async def step(name: str, waiting: list[UUID] = waiting) -> None:
            if name == at and waiting:
                await purge(world, waiting.pop())

        await rebuild(world.database, projection, batch_size=5, step=step)
        assert not waiting
    async with projecting(world) as projector:
        await projector.cycles(2)
    for number in range(1, len(PROJECTIONS) + 1):
        assert await rows_of(world, UUID(int=number)) == 0
    assert await differences(world) == []
    for projection in PROJECTIONS:
        await swapped(world, projection)


async def test_a_lost_or_another_row_of_the_watch_feed_is_a_difference(
    world: World,
) -> None:
    """What purges leave out of the comparison hides nothing else."""
    await fill(world, chats=4)
    await purge(world)
    await rebuild(world.database, WATCH_FEED)
    assert (await compared(world, WATCH_FEED)).empty
    await world.execute(
        "UPDATE read.watch_feed__v2 SET number = number + 1000 WHERE chat_id = %s",
        UUID(int=2),
    )
    assert not (await compared(world, WATCH_FEED)).empty
    await world.execute(
        "DELETE FROM read.watch_feed__v2 WHERE chat_id = %s", UUID(int=2)
    )
    feed, *_ = (await compared(world, WATCH_FEED)).tables
    assert (feed.table, feed.only_new) == ("watch_feed", 0)
    assert feed.only_old > 0
    assert "number" not in feed.samples["only_old"][0]


Told = tuple[int, str, UUID, int, str]
"""Number, kind, chat, version, digest."""


async def feed(world: World, version: int) -> list[Told]:
    rows = await world.rows(
        "SELECT number, kind, chat_id, version, digest"  # noqa: S608
        f" FROM read.watch_feed__v{version} ORDER BY number"
    )
    return [(number, *rest) for number, *rest in rows]


def goes_on(new: list[Told], seen: Told) -> bool:
    """Whether a watcher's id still names its row."""
    number, *_, digest = seen
    return len(new) >= number and new[number - 1][-1] == digest


@pytest.mark.parametrize("seed", range(6))
async def test_ids_of_watchers_that_still_fit_miss_nothing_after_a_swap(
    world: World, seed: int
) -> None:
    """Chats are purged before a rebuild, in the middle of it, and after it."""
    await fill(world, chats=8, seed=seed)
    chance = random.Random(seed)
    chats = [UUID(int=number) for number in range(1, 9)]
    gone = set(chance.sample(chats, 3))
    waiting = sorted(gone)
    if seed % 2:
        await purge(world, waiting.pop())

    async def step(_name: str) -> None:
        if len(waiting) > 1 and chance.random() < 0.3:
            await purge(world, waiting.pop())

    await rebuild(world.database, WATCH_FEED, batch_size=3, step=step)
    for chat_id in waiting:
        await purge(world, chat_id)
    async with projecting(world) as projector:
        await projector.catches_up()
    assert (await compared(world, WATCH_FEED)).empty
    old, new = await feed(world, 1), await feed(world, 2)
    assert [number for number, *_ in new] == list(range(1, len(new) + 1))
    for place, seen in enumerate(old, start=1):
        if not goes_on(new, seen):
            continue
        rest, missed = new[seen[0] :], old[place:]
        assert [row[1:] for row in rest if row[2] not in gone] == [
            row[1:] for row in missed if row[2] not in gone
        ]
        heard = {row[2] for row in old[:place]}
        told = {row[2] for row in rest if row[1] == "deleted"}
        assert told >= heard & {row[2] for row in missed if row[1] == "deleted"}
    assert goes_on(new, old[0]) == (old[0][2] not in gone or new[0][2] in gone)


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
