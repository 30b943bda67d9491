"""What readers get from the views: pages, order, leases, lag."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from service.db.pool import Connection, Pool
from service.errors import Rejection
from service.readmodels.chats import ChatFilters, ChatPage, list_chats
from service.readmodels.cursor import ChatCursor, PinCursor, parse_cursor
from service.readmodels.lag import projection_lag
from service.readmodels.messages import list_messages
from service.readmodels.queue import list_queue
from service.readmodels.runnable import runnable_chats
from tests import builders as b
from tests.integration.projections.world import World, projecting

LEASE_S = 30.0


async def project(world: World) -> None:
    async with projecting(world) as projector:
        await projector.catches_up()


async def make_chats(world: World, count: int) -> list[UUID]:
    """Chats with ids from 1; each changed a second after the one before."""
    made = [UUID(int=number) for number in range(1, count + 1)]
    for seconds, chat_id in enumerate(made):
        await touch(world, chat_id, seconds, created=True)
    await project(world)
    return made


async def touch(
    world: World, chat_id: UUID, seconds: int, *, created: bool = False
) -> None:
    at = b.NOW + timedelta(seconds=seconds)
    events = b.a_chat() if created else [b.acquired(term=seconds)]
    await world.append(chat_id, *[e.model_copy(update={"at": at}) for e in events])


def ids(page: ChatPage) -> list[int]:
    return [row.id.int for row in page.chats]


async def test_chats_come_page_by_page_newest_first(world: World, pool: Pool) -> None:
    await make_chats(world, 5)
    async with pool.connection() as connection:
        seen, cursor = [], None
        for expected in ([5, 4], [3, 2], [1]):
            page = await list_chats(connection, b.OWNER, limit=2, cursor=cursor)
            seen.append(ids(page))
            assert seen[-1] == expected
            cursor = page.next_cursor
        assert cursor is None


async def test_chats_that_changed_at_once_are_told_apart(
    world: World, pool: Pool
) -> None:
    for number in range(1, 6):
        await touch(world, UUID(int=number), 0, created=True)
    await project(world)
    async with pool.connection() as connection:
        first = await list_chats(connection, b.OWNER, limit=3)
        rest = await list_chats(connection, b.OWNER, limit=3, cursor=first.next_cursor)
    assert ids(first) + ids(rest) == [5, 4, 3, 2, 1]


async def test_paging_is_stable_while_chats_change(world: World, pool: Pool) -> None:
    """What does not change is seen once; what changes goes to the front."""
    await make_chats(world, 6)
    async with pool.connection() as connection:
        first = await list_chats(connection, b.OWNER, limit=2)
    await touch(world, UUID(int=5), 60)
    await touch(world, UUID(int=3), 61)
    await touch(world, UUID(int=7), 62, created=True)
    await project(world)
    async with pool.connection() as connection:
        second = await list_chats(
            connection, b.OWNER, limit=10, cursor=first.next_cursor
        )
        again = await list_chats(connection, b.OWNER, limit=10)
    assert ids(first) == [6, 5]
    assert ids(second) == [4, 2, 1]
    assert ids(again) == [7, 3, 5, 6, 4, 2, 1]


async def test_cursor_of_a_chat_that_is_gone_still_leads_on(
    world: World, pool: Pool
) -> None:
    await make_chats(world, 3)
    async with pool.connection() as connection:
        first = await list_chats(connection, b.OWNER, limit=1)
        await world.execute("DELETE FROM read.chats__v1 WHERE id = %s", UUID(int=3))
        rest = await list_chats(connection, b.OWNER, limit=9, cursor=first.next_cursor)
    assert ids(rest) == [2, 1]


async def test_only_the_owners_chats_that_are_not_archived(
    world: World, pool: Pool
) -> None:
    await make_chats(world, 3)
    await world.execute("UPDATE read.chats__v1 SET archived = id = %s", UUID(int=2))
    async with pool.connection() as connection:
        assert ids(await list_chats(connection, b.OWNER, limit=9)) == [3, 1]
        put_away = await list_chats(
            connection, b.OWNER, limit=9, filters=ChatFilters(archived=True)
        )
        assert ids(put_away) == [2]
        assert ids(await list_chats(connection, b.CHAT, limit=9)) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?",
        "bm9wZQ==",
        "W10=",
        "WzEsMl0=",
        "WzFlOTksICJ4Il0=",
        "\u2603",
        "W251bGxd",
        "WyJhXHUwMDAwIiwgIngiXQ==",
    ],
)
async def test_malformed_cursor_is_the_clients_to_mend(text: str) -> None:
    with pytest.raises(Rejection) as caught:
        parse_cursor(text)
    assert caught.value.code == "invalid-cursor"


def test_cursor_comes_back_as_it_was() -> None:
    cursor = ChatCursor(b.NOW + timedelta(microseconds=1), b.CHAT)
    assert parse_cursor(str(cursor)) == cursor
    pin = PinCursor("a0\u00ff", b.CHAT)
    assert parse_cursor(str(pin)) == pin


async def messages(connection: Connection, **page: int) -> tuple[list[int], bool]:
    found = await list_messages(connection, b.CHAT, **page)
    return [row.id for row in found.messages], found.has_more


async def test_messages_come_in_both_directions(world: World, pool: Pool) -> None:
    hidden = b.user("be brief", role="system", visibility="model")
    said = [b.user(str(number)) for number in range(5)]
    await world.append(b.CHAT, b.created(), hidden, *said)
    await project(world)
    async with pool.connection() as connection:
        assert await messages(connection, limit=10) == ([7, 6, 5, 4, 3], False)
        assert await messages(connection, limit=2) == ([7, 6], True)
        assert await messages(connection, limit=2, before_id=6) == ([5, 4], True)
        assert await messages(connection, limit=2, before_id=5) == ([4, 3], False)
        assert await messages(connection, limit=2, after_id=2) == ([3, 4], True)
        assert await messages(connection, limit=5, after_id=6) == ([7], False)
        both = await messages(connection, limit=5, after_id=3, before_id=6)
        assert both == ([5, 4], False)
        far = await messages(connection, limit=1, before_id=2**63 - 1)
        assert far == ([7], True)
        assert await messages(connection, limit=5, after_id=2**63 - 1) == ([], False)


async def test_queue_comes_in_order(world: World, pool: Pool) -> None:
    await world.append(b.CHAT, *b.a_turn())
    for words in ("first", "second"):
        await world.append(b.CHAT, b.queued(words))
    await world.append(UUID(int=1), *b.a_turn(), b.queued("elsewhere"))
    await project(world)
    async with pool.connection() as connection:
        queue = await list_queue(connection, b.CHAT)
    assert [(item.id, item.parts[0]["text"]) for item in queue] == [
        (5, "first"),
        (6, "second"),
    ]


async def test_most_urgent_chats_come_first(world: World, pool: Pool) -> None:
    running, waiting, later, interrupted = (UUID(int=number) for number in range(1, 5))
    await world.append(running, *b.a_chat())
    await world.append(waiting, *b.an_idle_chat())
    await world.append(later, *b.a_chat())
    await world.append(interrupted, *b.a_turn(), b.interrupt_requested())
    await project(world)
    async with pool.connection() as connection:
        found = await runnable_chats(connection, 10, lease_s=LEASE_S)
        assert [free.chat_id for free in found] == [interrupted, running, later]
        found = await runnable_chats(connection, 1, lease_s=LEASE_S)
        assert [tuple(free) for free in found] == [
            (interrupted, "interrupting"),
            (running, "running"),
        ]


async def test_chat_with_a_fresh_lease_is_somebodys(world: World, pool: Pool) -> None:
    held, lost = UUID(int=1), UUID(int=2)
    await world.append(held, *b.a_chat())
    await world.append(lost, *b.a_chat())
    await project(world)
    await world.execute(
        "INSERT INTO ops.leases (chat_id, worker, term, heartbeat_at) VALUES"
        " (%s, 'w1', 1, clock_timestamp()),"
        " (%s, 'w1', 1, clock_timestamp() - make_interval(secs => 31))",
        held,
        lost,
    )
    async with pool.connection() as connection:
        found = await runnable_chats(connection, 10, lease_s=LEASE_S)
        assert [free.chat_id for free in found] == [lost]


async def test_lag_counts_events_and_seconds(world: World, pool: Pool) -> None:
    await world.append(b.CHAT, *b.a_chat())
    async with pool.connection() as connection:
        behind = await projection_lag(connection)
        assert [row.projection for row in behind] == [
            "chats",
            "cursors",
            "messages",
            "queue",
            "runnable",
            "search",
            "usage_ledger",
            "watch_feed",
        ]
        assert {row.events_behind for row in behind} == {2}
        assert all(row.seconds_behind > 0 for row in behind)
    await project(world)
    async with pool.connection() as connection:
        for row in await projection_lag(connection):
            assert (row.state, row.error) == ("running", None)
            assert (row.events_behind, row.seconds_behind) == (0, 0.0)
            assert row.parked_streams == 0
