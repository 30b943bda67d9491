"""What was spent stays, whatever becomes of the chats that it was spent on."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from projections.rebuild import rebuild
from projections.retry import retry
from projections.usage_ledger import USAGE_LEDGER
from service.db.pool import connect
from service.domain.ids import CHAT
from service.eventstore.records import NewEvent, StreamName
from tests import builders as b
from tests.integration.projections.test_purge import purge
from tests.integration.projections.test_rebuild import compared
from tests.integration.projections.world import World, projecting

ONE, CHILD, FORK = (UUID(int=number) for number in range(1, 4))
OTHER_OWNER = UUID(int=0xB)
SPENT: dict[str, Any] = {
    "asked": b.ASKED, "usage": b.usage(7, output_tokens=2), "cost_micros": 12,
    "runtime_ms": 30,
}  # fmt: skip
STEP = [*b.an_answer()[:-1], b.committed(2, **SPENT)]
"""R0 after one step, version 6."""

ROWS = """
SELECT chat_id, user_id, root_chat_id, purpose, cost_micros, input_tokens, runtime_ms
FROM read.usage_ledger ORDER BY position
"""


async def a_family(world: World) -> None:
    """A chat with a title, a step, a summary and an edit; a child; a fork."""
    await world.append(ONE, *STEP)
    await world.append(ONE, b.usage_recorded(**SPENT | {"cost_micros": 3}))
    await world.append(ONE, b.turn_finished())
    await world.append(ONE, b.compaction_requested(), b.acquired(2))
    await world.append(ONE, b.attempt(9, 1, "compaction", asked=b.ASKED))
    summary = b.a_summary(11, 9)
    paid = b.committed(9, 1, "compaction", **SPENT | {"cost_micros": 5})
    await world.append(ONE, *summary[:-1], paid)
    await world.append(ONE, b.truncated(2), b.user("rather"))
    await world.append(CHILD, b.created(parent_chat_id=ONE, root_chat_id=ONE))
    await world.append(CHILD, *STEP[1:])
    cut = b.interruption_finished(asked=b.ASKED, runtime_ms=9)
    await world.append(CHILD, b.interrupt_requested(), cut)
    await world.append(FORK, *STEP, b.forked(6, owner_id=OTHER_OWNER))
    await world.append(FORK, b.user(), b.attempt(8), b.assistant(epoch=8, attempt=1))
    await world.append(FORK, b.committed(8, **SPENT | {"cost_micros": None}))


EXPECTED = [
    (ONE, b.OWNER, ONE, "turn", 12, 7, 30),
    (ONE, b.OWNER, ONE, "title", 3, 7, 30),
    (ONE, b.OWNER, ONE, "compaction", 5, 7, 30),
    (CHILD, b.OWNER, ONE, "subagent", 12, 7, 30),
    (CHILD, b.OWNER, ONE, "subagent", None, None, 9),
    (FORK, OTHER_OWNER, FORK, "turn", None, 7, 30),
]


async def test_every_call_is_charged_once_to_whose_chat_it_was(world: World) -> None:
    await a_family(world)
    async with projecting(world, batch_size=3) as projector:
        await projector.catches_up()
    assert await world.rows(ROWS) == EXPECTED


@pytest.mark.parametrize("seen", [True, False], ids=["seen-before", "only-erased"])
async def test_a_purge_changes_nothing_and_a_rebuild_gives_the_same(
    world: World, seen: bool
) -> None:
    """Also when the projector never saw anything but what was left."""
    await a_family(world)
    async with projecting(world, batch_size=3) as projector:
        if seen:
            await projector.catches_up()
        for chat_id in (ONE, CHILD, FORK):
            await purge(world, chat_id)
        projector.wakeup.ring()
        await projector.catches_up()
        assert await world.rows(ROWS) == EXPECTED
        await rebuild(world.database, USAGE_LEDGER, batch_size=3)
        await projector.cycles(1)
    assert (await compared(world, USAGE_LEDGER)).empty
    assert await world.rows("SELECT * FROM es.verify_positions(1, 1000)") == []


async def test_a_purge_in_the_middle_of_a_rebuild(world: World) -> None:
    await a_family(world)
    async with projecting(world, batch_size=3) as projector:
        await projector.catches_up()
    waiting = [ONE, CHILD, FORK]

    async def step(name: str) -> None:
        if name == "batch" and waiting:
            await purge(world, waiting.pop())

    await rebuild(world.database, USAGE_LEDGER, batch_size=3, step=step)
    assert waiting == []
    async with projecting(world) as projector:
        await projector.catches_up()
    assert (await compared(world, USAGE_LEDGER)).empty
    assert await world.rows(ROWS) == EXPECTED


async def test_what_is_left_of_a_parked_chat_is_for_a_retry(world: World) -> None:
    """Calls that came while it was parked are not lost with its content."""
    await world.append(ONE, *STEP)
    async with projecting(world) as projector:
        await projector.catches_up()
        await world.execute(
            "INSERT INTO ops.parked_streams (projection, version, category, stream_id,"
            " position, event_version, event_type, error)"
            " VALUES ('usage_ledger', 1, 'chat', %s, 7, 7, 'usage_recorded', 'x')",
            ONE,
        )
        await world.append(ONE, b.usage_recorded(**SPENT | {"cost_micros": 3}))
        await purge(world, ONE)
        projector.wakeup.ring()
        await projector.catches_up()
    assert await world.rows(ROWS) == EXPECTED[:1]
    async with await connect(
        world.database, role="projector", name="retry"
    ) as connection:
        await retry(connection, USAGE_LEDGER, StreamName(CHAT, ONE))
    assert await world.rows(ROWS) == EXPECTED[:2]
    assert await world.rows("SELECT FROM ops.parked_streams") == []


async def test_chats_that_were_erased_before_the_ledger_count_for_nobody(
    world: World,
) -> None:
    """All that purges kept then were tokens."""
    left = {"was": "step_committed", "usage": {"input_tokens": 7}}
    gone = {"was": "chat_created", "usage": None}
    await world.append_raw(
        ONE, NewEvent("erased", 2, gone), NewEvent("erased", 1, left)
    )
    async with projecting(world) as projector:
        await projector.catches_up()
    assert await world.rows(ROWS) == []
    assert await world.rows("SELECT FROM ops.parked_streams") == []
