"""A log that is not the one a read model was made from, or not whole: stop, say so."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from projections.messages import MESSAGES
from projections.rebuild import rebuild
from projections.registry import PROJECTIONS
from projections.swap import swap
from projections.versions import drop, pick
from service.db.pool import Pool, connect
from service.readmodels.lag import projection_lag
from tests import builders as b
from tests.integration.projections.world import World, projecting

NAMES = [projection.name for projection in PROJECTIONS]


@pytest_asyncio.fixture
async def projected(world: World) -> AsyncIterator[World]:
    """Two events, projected; one more that is not."""
    await world.append(b.CHAT, *b.a_chat())
    async with projecting(world) as projector:
        await projector.catches_up()
    await world.append(b.CHAT, b.acquired())
    yield world


async def test_another_digest_stops_the_projection_and_no_other(
    projected: World, pool: Pool
) -> None:
    await projected.execute(
        "UPDATE ops.checkpoints SET digest = '\\x00' WHERE projection = 'chats'"
    )
    async with projecting(projected) as projector:
        await projector.catches_up()
        await projector.cycles()
    position, state, error = await projected.checkpoint("chats")
    assert (position, state) == (2, "stopped")
    assert error is not None
    assert error.startswith("the log has another history at position 2: digest ")
    assert projector.runner.tally.stopped == 1
    assert await projected.checkpoint("messages") == (3, "running", None)
    assert await projected.rows("SELECT version FROM read.chats") == [(2,)]
    async with pool.connection() as connection:
        lag = {row.projection: row for row in await projection_lag(connection)}
    assert (lag["chats"].state, lag["chats"].events_behind) == ("stopped", 1)
    assert lag["chats"].error == error


async def test_checkpoint_past_the_end_of_the_log_stops(projected: World) -> None:
    await projected.execute("UPDATE ops.checkpoints SET position = 9")
    async with projecting(projected) as projector:
        await projector.catches_up()
    for name in NAMES:
        assert await projected.checkpoint(name) == (
            9,
            "stopped",
            "the log ends before position 9",
        )


async def test_hole_in_the_log_stops(projected: World) -> None:
    await projected.append(b.CHAT, b.attempt(2))
    # not even the owner of the log may delete while its triggers are there
    await projected.execute("ALTER TABLE es.events DISABLE TRIGGER USER")
    await projected.execute("DELETE FROM es.events WHERE position = 3")
    async with projecting(projected) as projector:
        await projector.catches_up()
    for name in NAMES:
        position, state, error = await projected.checkpoint(name)
        assert (position, state) == (2, "stopped")
        assert error == ("the log has a hole: position 4, expected 3; verify the log")


async def test_stopped_projection_goes_on_when_a_person_says_so(
    projected: World,
) -> None:
    await projected.execute("UPDATE ops.checkpoints SET state = 'stopped'")
    async with projecting(projected) as projector:
        await projector.cycles()
        assert (await projected.checkpoint("chats"))[0] == 2
        await projected.execute("UPDATE ops.checkpoints SET state = 'running'")
        projector.wakeup.ring()
        await projector.until(lambda: _at(projected, 3))


async def _at(world: World, position: int) -> bool:
    return (await world.checkpoint("chats"))[0] == position


async def test_rebuild_and_swap_get_over_a_history_that_is_gone(
    projected: World,
) -> None:
    """As after a failover: the read model is ahead of the log."""
    await projected.execute(
        "UPDATE ops.checkpoints SET position = 9 WHERE projection = 'messages'"
    )
    async with projecting(projected) as projector:
        await projector.catches_up()
        await projector.cycles()
    assert (await projected.checkpoint("messages"))[1] == "stopped"
    await rebuild(projected.database, MESSAGES)
    async with await connect(
        projected.database, role="projector", name="swap"
    ) as connection:
        new = await pick(connection, "messages", None)
        old = await swap(connection, projected.database, MESSAGES, new)
        await drop(connection, projected.database, old)
    async with projecting(projected) as projector:
        await projected.append(b.CHAT, b.user("on"))
        await projector.cycles(2)
    assert await projected.messages(b.CHAT) == [2, 4]
