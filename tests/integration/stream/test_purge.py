"""A purge under open streams: everybody leaves, and nothing stays in memory."""

from __future__ import annotations

from service.db.guard import Guard
from service.db.pool import Database
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.purging import purge
from tests.fixtures.stack import Client, Stack
from tests.integration.stream.test_follow import a_whole_turn, seen


def reasons(client: Client) -> list[str]:
    return [frame.data["reason"] for frame in client.named("bye")]


async def test_followers_are_sent_away_and_caches_are_empty(stack: Stack) -> None:
    chat, other = await ChatByHand.create(stack), await ChatByHand.create(stack)
    await a_whole_turn(chat)
    async with stack.follow(chat.id) as client, stack.follow(other.id) as neighbour:
        await client.until(seen("caught_up"))
        await neighbour.until(seen("caught_up"))
        await purge(stack.database, chat.id)
        await client.until(lambda c: c.ended.is_set())
        assert reasons(client) == ["purged"]
        assert stack.chats.peek(chat.id) is None
        assert set(stack.hub.followed()) == {other.id}
        await a_whole_turn(other)
        await neighbour.until(seen("turn_finished"))
        assert reasons(neighbour) == []


async def test_a_purge_in_the_middle_of_an_answer(stack: Stack) -> None:
    """Parts on the way show nothing to anybody any more."""
    chat = await ChatByHand.create(stack)
    await chat.acquire()
    await chat.attempt()
    async with stack.follow(chat.id) as client:
        await chat.say("a")
        await client.until(seen("message_part"))
        await purge(stack.database, chat.id)
        await client.until(lambda c: c.ended.is_set())
    assert reasons(client) == ["purged"]
    assert stack.hub._budget.used == 0
    assert not (await chat.state()).exists


async def test_who_comes_later_gets_no_snapshot(stack: Stack) -> None:
    """By any way in: afresh, at the tail, or with a cursor of before."""
    chat = await ChatByHand.create(stack)
    await a_whole_turn(chat)
    async with stack.follow(chat.id) as client:
        await client.until(seen("caught_up"))
    await purge(stack.database, chat.id)
    for after in (None, "now", client.last_id):
        async with stack.follow(chat.id, after=after) as late:
            await late.until(lambda c: c.ended.is_set())
        assert [frame.event for frame in late.frames] == ["bye"], after
        assert reasons(late) == ["purged"]


async def test_a_purge_that_rings_nobody_is_met_at_the_next_poll(
    database: Database, guard: Guard
) -> None:
    async with Stack(database, guard, deaf=True, poll_interval_s=0.1) as stack:
        chat = await ChatByHand.create(stack)
        async with stack.follow(chat.id) as client:
            await client.until(seen("caught_up"))
            await purge(database, chat.id)
            await client.until(lambda c: c.ended.is_set())
        assert reasons(client) == ["purged"]
