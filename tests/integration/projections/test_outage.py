"""The database goes away and comes back: the projector goes on by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from projections.registry import PROJECTIONS
from projections.tables import make_read_models
from service.db.migrate import migrate
from service.db.pool import Database, connect
from tests import builders as b
from tests.fixtures.servers import RestartableServer
from tests.integration.projections.world import World, projecting


@asynccontextmanager
async def opened(database: Database) -> AsyncIterator[World]:
    """A world whose connections end before the server does."""
    async with (
        await connect(database, role="service", name="test") as writer,
        await connect(database, role=None, name="test") as admin,
    ):
        yield World(database, writer, admin)


@pytest.mark.slow
@pytest.mark.parametrize("crash", [False, True], ids=["restarted", "killed"])
async def test_projector_survives_an_outage(
    restartable_server: RestartableServer, crash: bool
) -> None:
    database = restartable_server.database
    await migrate(database)
    await make_read_models(database, PROJECTIONS)
    async with opened(database) as world:
        await world.append(b.CHAT, *b.a_chat())
    async with projecting(world, poll_interval_s=0.2) as projector:
        async with opened(database) as projector.world:
            await projector.catches_up()
        await (restartable_server.kill() if crash else restartable_server.stop())
        await restartable_server.start()
        async with opened(database) as world:
            projector.world = world
            await world.append(b.CHAT, b.user("still there?"))
            await projector.catches_up()
            assert await world.messages(b.CHAT) == [2, 3]
    assert projector.runner.tally.reconnects >= 1
