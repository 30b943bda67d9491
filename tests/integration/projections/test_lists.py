"""Lists of chats: pins, families, filters, and pages while everything changes."""

from __future__ import annotations

import random
from datetime import timedelta
from uuid import UUID

import pytest

from projections.registry import PROJECTIONS
from projections.tables import make_read_models
from service.db.pool import Pool
from service.domain.events.chat import ChatEvent
from service.readmodels.chats import (
    ChatFilters,
    ChatPage,
    get_extras,
    list_chats,
    pins,
    running_of,
)
from service.readmodels.messages import prompts
from service.readmodels.queue import list_queue
from tests import builders as b
from tests.integration.projections.world import World, projecting


async def project(world: World) -> None:
    async with projecting(world) as projector:
        await projector.catches_up()


async def append(world: World, chat: int, *events: ChatEvent, at: int = 0) -> None:
    """One append, so many seconds after NOW."""
    now = b.NOW + timedelta(seconds=at)
    moved = [event.model_copy(update={"at": now}) for event in events]
    await world.append(UUID(int=chat), *moved)


async def listed(
    pool: Pool, filters: ChatFilters | None = None, *, limit: int = 50
) -> list[int]:
    """Ids of all pages, in order."""
    seen: list[int] = []
    cursor: str | None = None
    async with pool.connection() as connection:
        while True:
            page = await list_chats(
                connection, b.OWNER, limit=limit, cursor=cursor,
                filters=filters or ChatFilters(),
            )  # fmt: skip
            seen += ids(page)
            cursor = page.next_cursor
            if cursor is None:
                return seen


def ids(page: ChatPage) -> list[int]:
    return [row.id.int for row in page.chats]


async def test_pins_come_first_and_are_ranked_without_holes(
    world: World, pool: Pool
) -> None:
    """By the bytes of their keys, ties by id; who is put away is no pin."""
    for chat, key in enumerate(["b", "Z", "b", "\u00e4", "a"], 1):
        await append(world, chat, *b.an_idle_chat(), b.pinned(key))
    await append(world, 6, *b.an_idle_chat(), at=9)
    await append(world, 5, b.chat_archived())
    await project(world)
    expected = [(2, "Z"), (1, "b"), (3, "b"), (4, "\u00e4")]
    assert await listed(pool, limit=1) == [*(chat for chat, _ in expected), 6]
    async with pool.connection() as connection:
        found = await pins(connection, b.OWNER)
        assert found == [(UUID(int=chat), key) for chat, key in expected]
        page = await list_chats(connection, b.OWNER, limit=3)
        assert [row.pin_order for row in page.chats] == [1, 2, 3]
        ranks = [(await get_extras(connection, UUID(int=n)))[0] for n in range(1, 7)]
    assert ranks == [2, 1, 3, 4, 0, 0]


async def test_families_are_nested_with_the_same_archived(
    world: World, pool: Pool
) -> None:
    await append(world, 1, *b.an_idle_chat())
    family = {"parent_chat_id": UUID(int=1), "root_chat_id": UUID(int=1)}
    for child in (2, 3, 4):
        await append(world, child, b.created(**family), b.user(), at=child)
    await append(world, 3, b.chat_archived(), at=9)
    await project(world)
    assert await listed(pool) == [1]
    assert await listed(pool, ChatFilters(archived=True)) == []
    async with pool.connection() as connection:
        (root,) = (await list_chats(connection, b.OWNER, limit=9)).chats
        extras = await get_extras(connection, UUID(int=1))
        assert await running_of(connection, b.OWNER) == 3
        assert (await get_extras(connection, UUID(int=9))).children == ()
    assert [child.id.int for child in root.children] == [4, 2]
    assert list(extras.children) == list(root.children)
    (child, _) = root.public()["children"]
    assert (child["root_chat_id"], child["children"]) == (str(UUID(int=1)), [])


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (ChatFilters(), [4, 3, 2, 1]),
        (ChatFilters(archived=True), [5]),
        (ChatFilters(labels={"team": "a"}), [4, 2]),
        (ChatFilters(labels={"team": "a", "kind": "x"}), [4]),
        (ChatFilters(labels={"team": "b"}), []),
        (ChatFilters(has_unread=True), [4, 2]),
        (ChatFilters(has_unread=False), [3, 1]),
        (ChatFilters(title="TEA"), [3, 2]),
        (ChatFilters(title="t_a"), [3, 2]),
        (ChatFilters(title="\\"), []),
        (ChatFilters(search="green"), [4, 2]),
        (ChatFilters(search="GREEN tea"), [2]),
        (ChatFilters(search='"tea green"'), []),
        (ChatFilters(search="pot or porcelain"), [4, 3]),
        (ChatFilters(search="gone"), []),
        (ChatFilters(search="hidden"), []),
        (ChatFilters(search=" .,: "), []),
        (ChatFilters(search="green", labels={"team": "a"}, has_unread=True), [4, 2]),
    ],
    ids=str,
)
async def test_filters_hold_together(
    world: World, pool: Pool, filters: ChatFilters, expected: list[int]
) -> None:
    hidden = b.user("hidden", role="system", visibility="model")
    await append(world, 1, b.created(title="water"), hidden, b.user("gone"), at=1)
    await append(world, 1, b.truncated(3), b.user("kept"), at=1)
    await append(world, 2, *b.an_idle_chat("green tea"), at=2)
    await append(world, 2, b.title_changed("Tea time"), b.labels_changed(team="a"))
    await append(world, 3, *b.an_idle_chat("a pot"), b.read_cursor_moved(5), at=3)
    await append(world, 3, b.title_changed("more tea"))
    await append(world, 4, *b.an_idle_chat("green porcelain"), at=4)
    await append(world, 4, b.labels_changed(team="a", kind="x"))
    await append(world, 5, *b.an_idle_chat("away"), b.chat_archived(), at=5)
    await project(world)
    assert await listed(pool, filters, limit=2) == expected


async def test_purged_chat_leaves_no_words(world: World, pool: Pool) -> None:
    await append(world, 1, *b.an_idle_chat("green tea"))
    await project(world)
    await world.execute(
        "SELECT es.purge_stream('chat', %s, 'dba', 'asked')", UUID(int=1)
    )
    await project(world)
    assert await world.rows("SELECT * FROM read.search") == []
    assert await world.rows("SELECT * FROM read.cursors") == []


async def test_edited_away_messages_are_no_prompts(world: World, pool: Pool) -> None:
    await append(world, 1, *b.a_chat(), b.user("two", "lines"), b.user("three"))
    await append(world, 1, b.truncated(4), b.user("four"))
    await project(world)
    async with pool.connection() as connection:
        found = await prompts(connection, UUID(int=1), 2)
    assert found == [(6, "four"), (3, "two\nlines")]


async def test_queue_has_the_item_moved_last_at_its_head(
    world: World, pool: Pool
) -> None:
    await append(world, 1, *b.a_turn(), *[b.queued(str(n)) for n in range(5, 9)])
    await append(world, 1, b.queue_item_moved(7))
    await append(world, 1, b.queue_item_moved(8), b.queue_item_deleted(5))
    await project(world)
    async with pool.connection() as connection:
        queue = await list_queue(connection, UUID(int=1))
    assert [item.id for item in queue] == [8, 7, 6]


@pytest.mark.parametrize("seed", range(6))
async def test_chat_that_does_not_change_is_seen_once_while_others_do(
    world: World, pool: Pool, seed: int
) -> None:
    """Pinned or not, with equal times, whatever happens to the others meanwhile."""
    chance = random.Random(seed)
    still, busy = range(1, 15, 2), range(2, 15, 2)
    for chat in range(1, 15):
        pin = [b.pinned(chance.choice("abc"))] if chance.random() < 0.5 else []
        await append(world, chat, *b.an_idle_chat(), *pin, at=chance.randint(0, 2))
    await project(world)
    seen: list[int] = []
    cursor: str | None = None
    at = 10
    while True:
        async with pool.connection() as connection:
            limit = chance.randint(1, 3)
            page = await list_chats(connection, b.OWNER, limit=limit, cursor=cursor)
        seen += ids(page)
        cursor = page.next_cursor
        if cursor is None:
            break
        at += 1
        await _disturb(world, chance, chance.choice(busy), at=at)
        await project(world)
    assert sorted(chat for chat in seen if chat in still) == list(still)


async def _disturb(world: World, chance: random.Random, chat: int, *, at: int) -> None:
    changes: list[ChatEvent] = [
        b.pinned(chance.choice("abc")), b.unpinned(), b.acquired(at),
        b.chat_archived(), b.chat_unarchived(), b.user("again"),
    ]  # fmt: skip
    await append(world, chat, chance.choice(changes), at=chance.choice([1, at]))


async def test_columns_of_this_release_are_added_to_tables_of_the_one_before(
    world: World, pool: Pool
) -> None:
    """In place, with what is so for all that there was; rows stay."""
    await append(world, 1, *b.a_turn(), b.queued("later"))
    await project(world)
    for table, *columns in (
        ("chats", "plan_mode", "pin_key", "mcp_server_ids", "origin"),
        ("queue", "moved"),
        ("watch_feed", "tool_calls"),
        ("watch_chats", "archived", "read_up_to", "updated_at"),
    ):
        dropped = ", ".join(f"DROP COLUMN {column} CASCADE" for column in columns)
        await world.execute(f"ALTER TABLE read.{table}__v1 {dropped}")
    await world.execute("UPDATE ops.checkpoints SET checksum = 'of before'")
    await make_read_models(world.database, PROJECTIONS)
    assert await listed(pool) == [1]
    await append(world, 1, b.queued("urgent"), b.queue_item_moved(6), b.pinned())
    await project(world)
    async with pool.connection() as connection:
        assert [q.id for q in await list_queue(connection, UUID(int=1))] == [6, 5]
        (chat,) = (await list_chats(connection, b.OWNER, limit=9)).chats
    assert (chat.pin_order, chat.plan_mode, chat.mcp_server_ids) == (1, "", [])
