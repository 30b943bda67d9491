"""An event that a newer release wrote: give way to it, and wait."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from service.db.pool import Pool
from service.eventstore import codec
from service.eventstore.records import NewEvent
from service.readmodels.lag import projection_lag
from tests import builders as b
from tests.integration.projections.world import World, projecting

DREAMED = NewEvent("chat_dreamed", 1, {"of": "sheep"})


@pytest_asyncio.fixture
async def ahead(world: World) -> AsyncIterator[World]:
    """A chat, an append of a newer release, and more of the chat."""
    await world.append(b.CHAT, *b.a_chat())
    await world.append_raw(b.CHAT, codec.encode(b.user("half"), {}), DREAMED)
    await world.append(b.CHAT, b.acquired())
    yield world


async def test_future_event_is_waited_for_and_not_parked(
    ahead: World, pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    """Up to the border before its append everything is there; one line says why."""
    with caplog.at_level(logging.WARNING, logger="projections"):
        async with projecting(ahead) as projector:
            await projector.cycles(3)
    assert await ahead.checkpoint("chats") == (2, "running", None)
    assert await ahead.messages(b.CHAT) == [2]
    assert await ahead.rows("SELECT count(*) FROM ops.parked_streams") == [(0,)]
    assert [record.message for record in caplog.records] == [
        "waiting for a newer release to take an event"
    ]
    async with pool.connection() as connection:
        lag = {row.projection: row for row in await projection_lag(connection)}
    assert lag["chats"].events_behind == 3
    assert lag["chats"].seconds_behind > 0


async def test_newer_release_goes_on_from_there(ahead: World) -> None:
    """The one that waits holds no lock: who can read the event takes it over."""
    async with projecting(ahead) as older:
        await older.cycles()
        # what a newer release leaves behind
        await ahead.execute(
            "UPDATE ops.checkpoints SET position = e.position, digest = e.digest"
            " FROM es.events AS e WHERE e.position = 4"
        )
        older.wakeup.ring()
        await older.catches_up()
    assert await ahead.checkpoint("chats") == (5, "running", None)
