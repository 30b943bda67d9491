"""A rebuild over 1,000,000 events, while more come."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time
from uuid import UUID, uuid4

import pytest

from projections.chats import CHATS as LIST
from projections.messages import MESSAGES
from projections.projection import Projection
from projections.rebuild import Progress, rebuild
from projections.runner import ProjectionRunner
from projections.swap import swap
from projections.versions import pick
from service.db.pool import connect
from service.domain.ids import CHAT
from service.eventstore import codec, store
from service.eventstore.records import (
    ANY,
    AppendRequest,
    NewEvent,
    StreamAppend,
    StreamName,
)
from service.subscription.wakeup import Wakeup
from tests import builders as b
from tests.integration.projections.test_rebuild import compared
from tests.integration.projections.world import World

EVENTS = 1_000_000
CHATS_A_BATCH = 40
FLOOR = 15_000
"""Events a second of our own processor time: what else the machine does is left out.
The budget by the clock is scripts/bench's."""


def a_long_chat() -> tuple[NewEvent, ...]:
    """100 events, three of four of them messages."""
    events = [b.created()]
    for turn in range(25):
        epoch = 2 + 4 * turn
        events += [
            b.user("what time is it?"),
            b.assistant(b.text("noon " * 20), epoch=epoch, attempt=1),
        ]
        events += [b.committed(epoch), b.user("and now?")]
    return tuple(codec.encode(event, {}) for event in events[:100])


async def fill(world: World, count: int) -> None:
    events = a_long_chat()
    for _ in range(count // len(events) // CHATS_A_BATCH):
        requests = [
            AppendRequest(
                (StreamAppend(StreamName(CHAT, uuid4()), ANY, events),),
                str(uuid4()),
                b"",
            )
            for _ in range(CHATS_A_BATCH)
        ]
        await store.append(world.writer, requests)


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_million_events(
    world: World, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """The live one has only some of them when the build begins, and more come."""
    await fill(world, EVENTS)
    for projection in (MESSAGES, LIST):
        rate = await built(world, projection)
        record_testsuite_property(projection.name, f"{rate:,.0f} events/s")
        assert rate > FLOOR


async def built(world: World, projection: Projection) -> float:
    """Events a second of processor time."""
    late = UUID(int=7)
    seen: list[Progress] = []

    async def step(name: str) -> None:
        if name == "batch" and len(seen) % 20 == 1:
            await world.append(late, b.user("while it goes on"))

    began = process_time()
    await rebuild(world.database, projection, progress=seen.append, step=step)
    took = process_time() - began
    assert seen[-1].position == seen[-1].head > EVENTS
    async with await connect(
        world.database, role="projector", name="live"
    ) as connection:
        runner = ProjectionRunner(
            world.database, [projection], Wakeup(), poll_interval_s=1.0
        )
        await runner.catch_up(connection)
        assert (await compared(world, projection)).empty
        new = await pick(connection, projection.name, None)
        await swap(connection, world.database, projection, new)
    return seen[-1].position / took
