"""An event that a projection cannot take: its stream is parked, or the whole stops."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from projections.apply import Poisoned
from projections.chats import CHATS
from projections.messages import MESSAGES
from projections.projection import Projection
from projections.queue import QUEUE
from projections.registry import PROJECTIONS
from projections.retry import retry
from projections.runnable import RUNNABLE
from service.db.pool import Pool, connect
from service.domain.ids import CHAT
from service.eventstore.records import NewEvent, StreamName
from service.readmodels.chats import list_chats
from service.readmodels.lag import projection_lag
from tests import builders as b
from tests.integration.projections.world import (
    COUNTER,
    Poison,
    World,
    count,
    make_counter,
    projecting,
)

OTHER = uuid4()
MALFORMED = NewEvent("message_appended", 1, {"at": "never", "text": "my diary"})
PARKED = """
SELECT projection, stream_id, position, event_version, event_type, error
FROM ops.parked_streams ORDER BY projection
"""


async def retry_stream(world: World, projection: Projection) -> int:
    async with await connect(
        world.database, role="projector", name="retry"
    ) as connection:
        return await retry(connection, projection, StreamName(CHAT, b.CHAT))


async def test_poisoned_stream_is_parked_and_the_others_go_on(world: World) -> None:
    poison = Poison(MESSAGES)
    await world.append(b.CHAT, *b.a_chat())
    await world.append(OTHER, *b.a_chat())
    await world.append(b.CHAT, b.user("fine"))
    await world.append(b.CHAT, b.user("poison"))
    await world.append(b.CHAT, b.user("after"))
    await world.append(OTHER, b.user("fine"))
    async with projecting(world, [CHATS, poison.projection]) as projector:
        await projector.catches_up()
    assert projector.runner.tally.parked == 1
    assert await world.messages(b.CHAT) == [2, 3]
    assert await world.messages(OTHER) == [2, 3]
    ((name, stream_id, position, version, event_type, error),) = await world.rows(
        PARKED
    )
    assert (name, stream_id, position) == ("messages", b.CHAT, 6)
    assert (version, event_type) == (4, "message_appended")
    assert error.startswith("KeyError in tests.")
    assert "poison" not in error


async def test_parked_stream_stays_parked_whatever_comes_after(world: World) -> None:
    poison = Poison(MESSAGES)
    async with projecting(world, [poison.projection]) as projector:
        await world.append(b.CHAT, b.created(), b.user("poison"))
        projector.wakeup.ring()
        await projector.catches_up()
        poison.on = False
        await world.append(b.CHAT, b.user("after"))
        await world.append(OTHER, *b.a_chat())
        projector.wakeup.ring()
        await projector.catches_up()
    assert await world.messages(b.CHAT) == []
    assert await world.messages(OTHER) == [2]


async def test_retry_replays_the_stream_from_the_log(world: World) -> None:
    poison = Poison(MESSAGES)
    await world.append(b.CHAT, b.created(), b.user("fine"))
    await world.append(b.CHAT, b.user("poison"))
    await world.append(b.CHAT, b.user("after"))
    async with projecting(world, [poison.projection]) as projector:
        await projector.catches_up()
        assert await world.messages(b.CHAT) == [2]
        # what comes after the checkpoint stays the projector's
        await world.append(b.CHAT, b.user("later"))
        assert await retry_stream(world, MESSAGES) == 3
        assert await world.messages(b.CHAT) == [2, 3, 4]
        assert await world.rows(PARKED) == []
        poison.on = False
        projector.wakeup.ring()
        await projector.catches_up()
    assert await world.messages(b.CHAT) == [2, 3, 4, 5]
    assert await retry_stream(world, MESSAGES) == 0


async def test_retry_that_meets_the_poison_again_changes_nothing(world: World) -> None:
    poison = Poison(MESSAGES)
    await world.append(b.CHAT, b.created(), b.user("fine"))
    await world.append(b.CHAT, b.user("poison"))
    async with projecting(world, [poison.projection]) as projector:
        await projector.catches_up()
    parked = await world.rows(PARKED)
    with pytest.raises(Poisoned, match="cannot take 'message_appended' at position 3"):
        await retry_stream(world, poison.projection)
    assert await world.rows(PARKED) == parked
    assert await world.messages(b.CHAT) == [2]


async def test_append_with_poison_in_it_is_not_applied_in_part(world: World) -> None:
    poison = Poison(MESSAGES)
    await world.append(b.CHAT, *b.a_chat())
    await world.append(b.CHAT, b.user("half"), b.user("poison"), b.user("half"))
    async with projecting(world, [poison.projection]) as projector:
        await projector.catches_up()
    assert await world.messages(b.CHAT) == [2]


async def test_parked_chat_shows_its_error_in_the_list(
    world: World, pool: Pool
) -> None:
    poison = Poison(MESSAGES)
    await world.append(b.CHAT, *b.a_chat())
    await world.append(b.CHAT, b.user("poison"))
    await world.append(OTHER, *b.a_chat())
    async with projecting(world, [CHATS, poison.projection]) as projector:
        await projector.catches_up()
    async with pool.connection() as connection:
        rows = (await list_chats(connection, b.OWNER, limit=10)).chats
        lag = await projection_lag(connection)
    assert {row.id: row.projection_error for row in rows} == {
        b.CHAT: "messages is parked at version 3",
        OTHER: None,
    }
    assert {row.projection: row.parked_streams for row in lag}["messages"] == 1


@pytest.mark.parametrize(
    "projection",
    [p for p in PROJECTIONS if p.per_stream and MALFORMED.type in p.types],
    ids=lambda p: p.name,
)
async def test_event_of_the_wrong_shape_parks_its_stream(
    world: World, projection: Projection
) -> None:
    """Every projection that wants the type parks; nothing of the content is told."""
    await world.append(b.CHAT, *b.a_chat())
    await world.append_raw(b.CHAT, MALFORMED)
    await world.append(OTHER, *b.a_chat())
    async with projecting(world, [projection]) as projector:
        await projector.catches_up()
    ((name, stream_id, position, *_, error),) = await world.rows(PARKED)
    assert (name, stream_id, position) == (projection.name, b.CHAT, 3)
    assert "diary" not in error


@pytest.mark.parametrize(
    ("projection", "column"),
    [(CHATS, "title"), (MESSAGES, "parts"), (QUEUE, "parts"), (RUNNABLE, "status")],
    ids=lambda value: getattr(value, "name", value),
)
async def test_row_that_the_table_refuses_parks_its_stream(
    world: World, projection: Projection, column: str
) -> None:
    def spoil(entries: Any) -> Any:
        return [
            replace(
                statement,
                rows=[
                    {**row, column: None} if b.CHAT in row.values() else row
                    for row in statement.rows
                ],
            )
            for statement in projection.project(entries)
        ]

    for chat_id in (b.CHAT, OTHER):
        await world.append(chat_id, *b.a_chat(), b.queued())
    async with projecting(world, [replace(projection, project=spoil)]) as projector:
        await projector.catches_up()
    ((name, stream_id, *_, error),) = await world.rows(PARKED)
    assert (name, stream_id) == (projection.name, b.CHAT)
    assert error == f"NotNullViolation 23502 ({column})"
    left = await world.rows(f"SELECT count(*) FROM read.{name}")  # noqa: S608
    assert left == [(1,)]


async def test_projection_over_all_streams_stops_before_its_poison(
    world: World,
) -> None:
    """What came before is kept, the rest waits; the others are not held up."""
    await make_counter(world)
    poison = Poison(COUNTER)
    await world.append(b.CHAT, *b.a_chat())
    await world.append(b.CHAT, b.user("half"), b.user("poison"))
    await world.append(OTHER, *b.a_chat())
    async with projecting(world, [MESSAGES, poison.projection]) as projector:
        await projector.catches_up()
        await projector.cycles()
    assert await world.checkpoint("messages") == (6, "running", None)
    position, state, error = await world.checkpoint("counter")
    assert (position, state) == (2, "stopped")
    assert error is not None
    assert "'message_appended' at position 4" in error
    assert await count(world) == 1
    assert projector.runner.tally.stopped == 1
