"""L4, L5: what a client must see is in the log; a preview ends with its message."""

from __future__ import annotations

from psycopg.types.json import Jsonb

from service.db.guard import Guard
from service.db.pool import Database
from tests.fixtures.byhand import INSERT_PART, ChatByHand
from tests.fixtures.stack import Stack
from tests.integration.lessons.test_hints import on_screen


async def test_l04_who_comes_late_and_elsewhere_sees_that_a_retry_is_pending(
    database: Database, guard: Guard
) -> None:
    async with Stack(database, guard) as stack:
        chat = await ChatByHand.create(stack)
        await chat.acquire()
        await chat.attempt()
        await chat.retry_later()
        async with stack.follow(chat.id, after="0") as early:
            await early.until(lambda c: bool(c.named("caught_up")))
    async with (
        Stack(database, guard) as elsewhere,
        elsewhere.follow(chat.id) as late,
    ):
        await late.until(lambda c: bool(c.named("caught_up")))
    assert on_screen(late).retry == on_screen(early).retry
    retry = on_screen(late).retry
    assert retry is not None
    assert (retry["attempt"], retry["delay_ms"]) == (1, 3_600_000)


async def test_l05_parts_that_are_late_come_not_after_their_message(
    stack: Stack,
) -> None:
    """Not to who followed them, and not to who comes later."""
    chat = await ChatByHand.create(stack)
    await chat.acquire()
    await chat.attempt()
    async with stack.follow(chat.id) as client:
        await chat.say("one", " two")
        await client.until(lambda c: len(c.named("message_part")) == 2)
        episode = (await chat.state()).episode
        assert episode is not None
        await chat.commit("one two")
        data = {"role": "assistant", "part": {"type": "text", "text": " three"}}
        values = (chat.id, episode.epoch, episode.attempt, 3, Jsonb(data))
        async with stack.pool.transaction() as connection:
            await connection.execute(INSERT_PART, values)
        await chat.attempt()
        await chat.say("four")
        await client.until(lambda c: len(c.named("message_part")) == 3)
        async with stack.follow(chat.id) as later:
            await later.until(lambda c: bool(c.named("caught_up")))
    said = [f.data["part"]["text"] for f in client.named("message_part")]
    assert said == ["one", " two", "four"]
    for screen in (on_screen(client), on_screen(later)):
        assert screen.preview is not None
        assert screen.preview.text == "four"
        assert screen.answer == "one two"
