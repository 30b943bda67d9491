"""The projector follows the log, alone and beside others, and through what breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

from projections.registry import PROJECTIONS
from service.db.pool import Pool
from service.eventstore.records import NewEvent
from service.readmodels.chats import list_chats
from service.readmodels.messages import list_messages
from tests import builders as b
from tests.integration.projections.world import (
    COUNTER,
    World,
    count,
    make_counter,
    projecting,
)

TERMINATE = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = 'parley/projector' AND datname = current_database()
"""


async def test_projector_catches_up_from_the_start(world: World, pool: Pool) -> None:
    await world.append(b.CHAT, *b.an_idle_chat("hi"))
    async with projecting(world) as projector:
        await projector.catches_up()
    async with pool.connection() as connection:
        (chat,) = (await list_chats(connection, b.OWNER, limit=10)).chats
        page = await list_messages(connection, b.CHAT, limit=10)
    assert (chat.id, chat.status, chat.version) == (b.CHAT, "waiting", 7)
    assert [message.role for message in page.messages] == ["assistant", "user"]
    assert projector.runner.tally.events == 7


async def test_wake_up_brings_what_was_appended_since(world: World) -> None:
    async with projecting(world) as projector:
        await projector.cycles()
        await world.append(b.CHAT, *b.a_chat())
        projector.wakeup.ring()
        await projector.catches_up()
        assert await world.messages(b.CHAT) == [2]


async def test_without_any_notification_it_arrives_at_poll_speed(world: World) -> None:
    async with projecting(world, poll_interval_s=0.05) as projector:
        await projector.catches_up()
        await world.append(b.CHAT, *b.a_chat())
        await projector.catches_up()
        assert await world.messages(b.CHAT) == [2]


async def test_small_batches_end_where_large_ones_do(world: World) -> None:
    for _ in range(3):
        await world.append(uuid4(), *b.an_idle_chat())
    async with projecting(world, batch_size=1) as projector:
        await projector.catches_up()
    assert projector.runner.tally.batches == 3
    assert await world.rows("SELECT DISTINCT version FROM read.chats") == [(7,)]


async def test_events_of_other_categories_are_passed_over(world: World) -> None:
    foreign = NewEvent("chat_created", 1, {"of": "another kind"})
    await world.append_raw(uuid4(), foreign, category="other")
    await world.append(b.CHAT, *b.a_chat())
    async with projecting(world) as projector:
        await projector.catches_up()
    assert await world.rows("SELECT id FROM read.chats") == [(b.CHAT,)]


async def test_projector_killed_before_the_commit_takes_effect_once(
    world: World,
) -> None:
    """Its effects roll back with its checkpoint, and the next attempt makes both."""
    await make_counter(world)
    await world.append(b.CHAT, *b.an_idle_chat())
    killed: list[Sequence[str]] = []

    async def kill_once(names: Sequence[str]) -> None:
        if not killed:
            killed.append(names)
            assert await world.rows(TERMINATE) == [(1,)]

    async with projecting(
        world, [*PROJECTIONS, COUNTER], applied=kill_once
    ) as projector:
        await projector.catches_up()
    assert [len(names) for names in killed] == [len(PROJECTIONS) + 1]
    assert await count(world) == 2
    assert projector.runner.tally.reconnects == 1


async def test_two_projectors_share_the_work_and_do_none_twice(world: World) -> None:
    await make_counter(world)
    chats = [uuid4() for _ in range(20)]
    every = [*PROJECTIONS, COUNTER]
    async with (
        projecting(world, every, batch_size=1) as one,
        projecting(world, every, batch_size=1) as other,
    ):
        for chat_id in chats:
            await world.append(chat_id, *b.an_idle_chat())
            one.wakeup.ring()
            other.wakeup.ring()
        # the first cycle may have begun before the last append
        await one.cycles(2)
        await other.cycles(2)
    head = await world.head()
    assert [(await world.checkpoint(p.name))[0] for p in every] == [head] * len(every)
    assert await count(world) == 2 * len(chats)
    for chat_id in chats:
        assert await world.messages(chat_id) == [2, 5]


async def test_loser_leaves_the_work_to_the_holder(world: World) -> None:
    await world.append(b.CHAT, *b.a_chat())
    entered, release = asyncio.Event(), asyncio.Event()

    async def hold(_names: Sequence[str]) -> None:
        entered.set()
        await release.wait()

    async with projecting(world, applied=hold) as holder:
        await entered.wait()
        async with projecting(world) as loser:
            await loser.cycles()
            assert loser.runner.tally.batches == 0
            release.set()
            await holder.catches_up()


async def test_checkpoint_that_somebody_moved_is_not_moved_again(world: World) -> None:
    """The compare-and-set holds without the lock: effects roll back, work goes on."""
    await make_counter(world)
    await world.append(b.CHAT, *b.a_chat())
    moved: list[UUID] = []

    async def move_once(_names: Sequence[str]) -> None:
        if not moved:
            moved.append(b.CHAT)
            await world.execute(
                "UPDATE ops.checkpoints SET position = 2, digest = e.digest"
                " FROM es.events AS e WHERE e.position = 2 AND projection = 'counter'"
            )

    async with projecting(world, [COUNTER], applied=move_once) as projector:
        await projector.catches_up()
    assert moved
    assert await count(world) == 0
    assert projector.runner.tally.reconnects == 0


async def test_cut_connection_is_opened_again(world: World) -> None:
    async with projecting(world) as projector:
        await projector.cycles()
        assert await world.rows(TERMINATE) == [(1,)]
        await world.append(b.CHAT, *b.a_chat())
        projector.wakeup.ring()
        await projector.catches_up()
        assert await world.messages(b.CHAT) == [2]
    assert projector.runner.tally.reconnects == 1


async def test_broken_projection_rests_while_the_others_go_on(world: World) -> None:
    await world.append(b.CHAT, *b.a_chat())
    await world.execute("ALTER TABLE read.queue__v1 OWNER TO CURRENT_USER")
    await world.append(b.CHAT, b.queued())
    async with projecting(world) as projector:

        async def others_are_there() -> bool:
            return (await world.checkpoint("chats"))[0] == await world.head()

        await projector.until(others_are_there)
    assert (await world.checkpoint("queue"))[:2] == (0, "running")
    assert await world.rows("SELECT count(*) FROM ops.parked_streams") == [(0,)]
