"""Pages of the log are bounded by bytes as well as by count."""

from __future__ import annotations

import secrets
from uuid import UUID

from projections.messages import MESSAGES
from projections.page import read_page
from tests import builders as b
from tests.integration.projections.world import World, projecting

CHATS = [UUID(int=number) for number in range(1, 6)]
LARGE = 200_000
"""Characters that do not compress well: stored out of line."""


async def fill(world: World) -> None:
    for chat_id in CHATS:
        await world.append(chat_id, b.created(), b.user(secrets.token_hex(LARGE // 2)))


async def test_page_ends_before_it_is_too_large(world: World) -> None:
    await fill(world)
    types = MESSAGES.types
    page = await read_page(world.admin, 0, types, limit=500, most_bytes=3 * LARGE // 2)
    assert (len(page.items), page.full) == (4, True)
    page = await read_page(world.admin, 4, types, limit=500, most_bytes=100 * LARGE)
    assert (len(page.items), page.full) == (6, False)


async def test_event_larger_than_a_page_is_one(world: World) -> None:
    await fill(world)
    page = await read_page(world.admin, 0, MESSAGES.types, limit=500, most_bytes=1)
    assert (len(page.items), page.full) == (2, True)


async def test_all_of_them_are_projected(world: World) -> None:
    await fill(world)
    async with projecting(world) as projector:
        await projector.catches_up()
    assert [await world.messages(chat_id) for chat_id in CHATS] == [[2]] * 5
