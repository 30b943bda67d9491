"""A new version is built from the whole log beside the one that readers see."""

from __future__ import annotations

import random
from dataclasses import replace
from uuid import UUID

from projections.registry import PROJECTIONS
from projections.tables import make_read_models
from tests import builders as b
from tests.integration.projections.world import World, projecting

TURN = [
    b.a_turn(),
    [b.queued("next")],
    [b.assistant(b.call(), epoch=2, attempt=1), b.committed(2)],
    [b.interrupt_requested()],
    [b.interruption_finished(), b.user("next", queued_id=5)],
    [b.turn_failed(9)],
]


async def test_rebuilt_read_models_have_the_same_rows(world: World) -> None:
    """One was made as it happened, the other at once and in other batches."""
    chance = random.Random(7)
    waiting = {UUID(int=number): [*TURN] for number in range(1, 9)}
    async with projecting(world, batch_size=1) as projector:
        while waiting:
            chat_id = chance.choice([*waiting])
            await world.append(chat_id, *waiting[chat_id].pop(0))
            projector.wakeup.ring()
            if not waiting[chat_id] or chance.random() < 0.1:
                del waiting[chat_id]
        await projector.catches_up()

    rebuilt = [replace(projection, version=2) for projection in PROJECTIONS]
    await make_read_models(world.database, rebuilt)
    async with projecting(world, [*PROJECTIONS, *rebuilt], batch_size=17) as projector:
        await projector.cycles()
    for projection in PROJECTIONS:
        rows = [
            await world.rows(
                f"SELECT to_jsonb(t) FROM read.{projection.name}__v{version} AS t"  # noqa: S608
                " ORDER BY 1"
            )
            for version in (1, 2)
        ]
        assert rows[0]
        assert rows[0] == rows[1]
