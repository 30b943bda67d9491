"""A new version is built from the whole log beside the one that readers see."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from projections.diff import Diff, diff
from projections.messages import MESSAGES
from projections.projection import Projection
from projections.rebuild import BuildFailed, Progress, rebuild
from projections.registry import PROJECTIONS
from projections.swap import swap
from projections.tables import make_read_models
from projections.versions import Version, active, drop, hold, pick, sweep, versions
from service.db.pool import connect
from service.domain.events.chat import ChatEvent
from service.errors import SetupError
from service.eventstore.records import NewEvent
from tests import builders as b
from tests.integration.projections.world import (
    COUNTER,
    Poison,
    World,
    make_counter,
    projecting,
)

TURN = [
    b.a_turn(),
    [b.queued("next")],
    [b.assistant(b.call(), epoch=2, attempt=1), b.committed(2)],
    [b.interrupt_requested()],
    [b.interruption_finished(), b.user("next", queued_id=5)],
    [b.turn_failed(9)],
]
SHOWN = """
SELECT pg_get_viewdef('read.messages') ~ ('messages__v' || p.active_version || ' '),
  p.active_version
FROM ops.projections AS p WHERE p.name = 'messages'
"""


async def fill(world: World, *, chats: int = 8, seed: int = 7) -> None:
    """Chats whose appends are shuffled together, projected one by one."""
    chance = random.Random(seed)
    waiting: dict[UUID, list[Sequence[ChatEvent]]] = {
        UUID(int=number): [*TURN] for number in range(1, chats + 1)
    }
    async with projecting(world, batch_size=1) as projector:
        while waiting:
            chat_id = chance.choice([*waiting])
            await world.append(chat_id, *waiting[chat_id].pop(0))
            projector.wakeup.ring()
            if not waiting[chat_id] or chance.random() < 0.1:
                del waiting[chat_id]
        await projector.catches_up()


async def compared(world: World, projection: Projection) -> Diff:
    """The newest version beside the one in use."""
    async with await connect(
        world.database, role="projector", name="diff"
    ) as connection:
        old = await active(connection, projection.name)
        new = await pick(connection, projection.name, None)
        return await diff(connection, projection, old, new)


async def swapped(world: World, projection: Projection) -> Version:
    async with await connect(
        world.database, role="projector", name="swap"
    ) as connection:
        new = await pick(connection, projection.name, None)
        await swap(connection, world.database, projection, new)
        return new


async def there(world: World, name: str = "messages") -> list[tuple[int, str]]:
    """Versions and their states."""
    return [(v.version, v.state) for v in await versions(world.admin, name)]


async def leftovers(world: World) -> list[str]:
    """Tables of versions that no checkpoint knows."""
    rows = await world.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'read'::regnamespace"
        " AND relkind = 'r' AND NOT EXISTS (SELECT FROM ops.checkpoints AS c,"
        " unnest(coalesce(c.tables, ARRAY[c.projection])) AS t (name)"
        " WHERE relname = t.name || '__v' || c.version)"
    )
    return [name for (name,) in rows]


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda p: p.name)
@pytest.mark.parametrize("batch_size", [1, 17, 2000])
async def test_rebuilt_read_model_has_the_same_rows(
    world: World, projection: Projection, batch_size: int
) -> None:
    """One was made as it happened, the other at once and in other batches."""
    await fill(world)
    seen: list[Progress] = []
    built = await rebuild(
        world.database, projection, batch_size=batch_size, progress=seen.append
    )
    assert (built.version, built.definition, built.active) == (2, 1, False)
    assert built.state == "running"
    found = await compared(world, projection)
    assert found.empty
    assert found.position == await world.head()
    assert found.tables[0].rows[0] == found.tables[0].rows[1] > 0
    assert seen[-1] == Progress(found.position, found.position)
    assert [p.position for p in seen] == sorted(p.position for p in seen)


async def test_swap_shows_the_new_one_and_keeps_the_old_one_going(world: World) -> None:
    await fill(world)
    assert await world.rows(SHOWN) == [(True, 1)]
    await rebuild(world.database, MESSAGES)
    assert await world.rows(SHOWN) == [(True, 1)]
    await swapped(world, MESSAGES)
    assert await world.rows(SHOWN) == [(True, 2)]
    chat_id = uuid4()
    async with projecting(world) as projector:
        await world.append(chat_id, *b.a_chat())
        projector.wakeup.ring()
        await projector.cycles(2)
    assert await world.messages(chat_id) == [2]
    back = await compared(world, MESSAGES)
    assert back.empty
    assert (back.old.version, back.new.version) == (2, 1)


async def test_what_comes_during_a_rebuild_is_not_missed(world: World) -> None:
    await fill(world)
    late = uuid4()
    added = 0

    async def step(name: str) -> None:
        nonlocal added
        if name in ("begun", "batch", "built", "finishing") and added < 30:
            added += 1
            await world.append(late if added > 1 else b.CHAT, *_events(added))

    async with projecting(world) as projector:
        await rebuild(world.database, MESSAGES, batch_size=20, step=step)
        projector.wakeup.ring()
        await projector.cycles(2)
    assert (await compared(world, MESSAGES)).empty
    assert len(await world.messages(late)) == added - 1
    assert (await there(world)) == [(1, "running"), (2, "running")]


def _events(number: int) -> list[ChatEvent]:
    return [*b.a_chat()] if number <= 2 else [b.user(f"late {number}")]


async def test_diff_tells_what_differs(world: World) -> None:
    await fill(world)
    await rebuild(world.database, MESSAGES)
    await world.execute("DELETE FROM read.messages__v2 WHERE chat_id = %s", UUID(int=1))
    await world.execute(
        "UPDATE read.messages__v2 SET role = 'tool' WHERE chat_id = %s AND id = 2",
        UUID(int=2),
    )
    await world.execute("DELETE FROM read.messages__v1 WHERE chat_id = %s", UUID(int=3))
    found = await compared(world, MESSAGES)
    assert not found.empty
    (table,) = found.tables
    ((gone,),) = await world.rows(
        "SELECT count(*) FROM read.messages__v1 WHERE chat_id = %s", UUID(int=1)
    )
    ((more,),) = await world.rows(
        "SELECT count(*) FROM read.messages__v2 WHERE chat_id = %s", UUID(int=3)
    )
    assert (table.only_old, table.only_new, table.different) == (gone, more, 1)
    (changed,) = table.samples["different"]
    assert (changed["old"]["role"], changed["new"]["role"]) == ("user", "tool")
    assert {row["chat_id"] for row in table.samples["only_old"]} == {str(UUID(int=1))}
    assert {row["chat_id"] for row in table.samples["only_new"]} == {str(UUID(int=3))}


@pytest.mark.parametrize("at", ["begun", "batch", "built", "finishing"])
async def test_cancelled_rebuild_leaves_nothing(world: World, at: str) -> None:
    await fill(world)
    reached = asyncio.Event()

    async def step(name: str) -> None:
        if name == at:
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(rebuild(world.database, MESSAGES, step=step))
    async with asyncio.timeout(30):
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await there(world) == [(1, "running")]
    assert await leftovers(world) == []
    assert await world.rows(SHOWN) == [(True, 1)]
    assert (await rebuild(world.database, MESSAGES)).version == 2


async def test_only_one_builds_at_a_time(world: World) -> None:
    async def step(name: str) -> None:
        if name == "begun":
            with pytest.raises(SetupError, match="goes on already"):
                await rebuild(world.database, MESSAGES)
            async with await connect(
                world.database, role="projector", name="other"
            ) as other:
                # nor does another command take it for a leftover
                assert await sweep(other, world.database) == []

    await rebuild(world.database, MESSAGES, step=step)


async def test_projection_that_stops_cannot_be_built(world: World) -> None:
    await make_counter(world)
    await world.append(b.CHAT, b.created(), b.user("poison"))
    poison = Poison(COUNTER)
    with pytest.raises(BuildFailed, match="cannot take 'message_appended'"):
        await rebuild(world.database, poison.projection)
    assert await there(world, "counter") == [(1, "running")]
    assert await leftovers(world) == []


async def test_one_without_rights_cannot_be_built(world: World) -> None:
    await world.append(b.CHAT, *b.a_chat())
    broken = replace(MESSAGES, sql="CREATE TABLE platform.x (); -- [view]\n")
    with pytest.raises(Exception, match="permission denied"):
        await rebuild(world.database, broken)
    assert await there(world) == [(1, "running")]


async def test_new_definition_takes_its_own_number(world: World) -> None:
    """What two releases call v2 may differ: the database knows which made it."""
    await fill(world)
    await rebuild(world.database, MESSAGES)
    newer = replace(MESSAGES, version=2)
    await make_read_models(world.database, [newer])
    found = [(v.version, v.definition) for v in await versions(world.admin, "messages")]
    assert found == [(1, 1), (2, 1), (3, 2)]
    async with projecting(world, [newer]) as projector:
        await projector.cycles()
    assert (await compared(world, newer)).empty


async def test_old_one_may_go_when_it_is_not_in_use(world: World) -> None:
    await fill(world)
    await rebuild(world.database, MESSAGES)
    async with await connect(
        world.database, role="projector", name="drop"
    ) as connection:
        with pytest.raises(SetupError, match="in use"):
            await drop(connection, world.database, await active(connection, "messages"))
        await swapped(world, MESSAGES)
        old = await pick(connection, "messages", 1)
        async with projecting(world) as projector:
            await drop(connection, world.database, old)
            await world.append(b.CHAT, *b.a_chat())
            await projector.cycles(2)
    assert await there(world) == [(2, "running")]
    assert await leftovers(world) == []
    assert await world.messages(b.CHAT) == [2]


async def test_swap_refuses_what_is_not_fit_to_be_seen(world: World) -> None:
    await fill(world)
    await rebuild(world.database, MESSAGES)
    await world.append_raw(b.CHAT, NewEvent("message_appended", 1, {"at": "never"}))
    await world.execute(
        "INSERT INTO ops.parked_streams (projection, version, category, stream_id,"
        " position, event_version, event_type, error)"
        " VALUES ('messages', 2, 'chat', %s, 1, 1, 'x', 'x')",
        b.CHAT,
    )
    async with projecting(world) as projector:
        await projector.cycles()
        await world.execute("DELETE FROM ops.parked_streams WHERE version = 1")
        with pytest.raises(SetupError, match="parked"):
            await swapped(world, MESSAGES)
    await world.execute("UPDATE ops.checkpoints SET state = 'stopped'")
    with pytest.raises(SetupError, match="is stopped"):
        await swapped(world, MESSAGES)
    assert await world.rows(SHOWN) == [(True, 1)]


async def test_builder_s_lock_goes_with_its_connection(world: World) -> None:
    async with await connect(world.database, role=None, name="killed") as killed:
        assert await hold(killed, "messages")
    async with await connect(world.database, role=None, name="other") as other:
        assert await hold(other, "messages")
