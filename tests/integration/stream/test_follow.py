"""A follower sees every frame exactly once, whatever happens between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from service.db.guard import Guard
from service.db.pool import Database
from service.stream.snapshot import snapshot
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import PATIENCE_S, Client, Stack, WireFrame
from tests.reducer import ChatOnScreen


def on_screen(frames: list[WireFrame]) -> ChatOnScreen:
    screen = ChatOnScreen()
    for frame in frames:
        if frame.event is not None:
            screen.take(frame.event, frame.data)
    return screen


def ended(turns: int = 1) -> Callable[[Client], bool]:
    return lambda client: len(client.named("turn_finished")) == turns


def seen(event: str, count: int = 1) -> Callable[[Client], bool]:
    return lambda client: len(client.named(event)) >= count


async def a_whole_turn(chat: ChatByHand) -> None:
    """One turn with an abandoned attempt, a queue, and a second turn that fails."""
    await chat.acquire()
    await chat.attempt()
    await chat.say("he", "y")
    await chat.attempt()
    await chat.say("hello ", "the", "re")
    await chat.send("and now?")
    await chat.say("!")
    await chat.commit("hello there!")
    await chat.finish()
    await chat.attempt()
    await chat.say("well")
    await chat.fail()


async def test_snapshot_comes_first_then_what_happens(stack: Stack) -> None:
    chat = await ChatByHand.create(stack)
    async with stack.follow(chat.id) as client:
        await client.until(seen("caught_up"))
        first = client.frames[0]
        assert first.event == "snapshot"
        assert [m["role"] for m in first.data["messages"]] == ["user"]
        await a_whole_turn(chat)
        await client.until(ended(2))
    screen = on_screen(client.frames)
    assert screen.turns == [(2, "finished"), (10, "failed")]
    assert screen.status == "error"
    await assert_fresh(stack, chat, screen)


async def assert_fresh(stack: Stack, chat: ChatByHand, screen: ChatOnScreen) -> None:
    """Old state and frames make the state that a fresh read gives."""
    fresh = snapshot(chat.id, await chat.state())  # type: ignore[arg-type]
    assert list(screen.messages.values()) == fresh["messages"]
    assert screen.queue == fresh["queued_messages"]
    assert screen.status == fresh["chat"]["status"]
    assert screen.error == fresh["chat"]["last_error"]
    assert screen.title == fresh["chat"]["title"]
    if (await chat.state()).episode is None:
        assert screen.preview is None


async def test_resume_after_each_frame_gives_exactly_the_rest(stack: Stack) -> None:
    """Cut a live stream after each of its frames: its ring has the very same rest."""
    chat = await ChatByHand.create(stack)
    async with stack.follow(chat.id) as whole:
        await whole.until(seen("caught_up"))
        await a_whole_turn(chat)
        await whole.until(ended(2))
        recorded = [f for f in whole.frames if f.id is not None]
        assert len({f.id for f in recorded}) == len(recorded)
        for place, frame in enumerate(recorded[:-1], start=1):
            async with stack.follow(chat.id, after=frame.id) as rest:
                await rest.until(seen("caught_up"))
            assert [f for f in rest.frames if f.id] == recorded[place:]
    await assert_fresh(stack, chat, on_screen(whole.frames))


async def test_resume_on_another_replica_gives_the_committed_rest(
    stack: Stack, database: Database, guard: Guard
) -> None:
    chat = await ChatByHand.create(stack)
    async with stack.follow(chat.id, after="0") as whole:
        await a_whole_turn(chat)
        await whole.until(ended(2))
    recorded = [f for f in whole.frames if f.id is not None]
    async with Stack(database, guard) as replica:
        for place in range(1, len(recorded)):
            before, after = recorded[:place], recorded[place:]
            async with replica.follow(chat.id, after=before[-1].id) as rest:
                await rest.until(seen("caught_up"))
            committed = [f for f in after if f.event != "message_part"]
            resumed = [f for f in rest.frames if f.id is not None]
            assert [(f.event, f.data) for f in resumed] == [
                (f.event, f.data) for f in committed
            ]
            await assert_fresh(replica, chat, on_screen([*before, *resumed]))


async def test_resume_in_the_middle_of_a_message_on_another_replica(
    stack: Stack, database: Database, guard: Guard
) -> None:
    chat = await ChatByHand.create(stack)
    await chat.acquire()
    await chat.attempt()
    async with stack.follow(chat.id) as first:
        await chat.say("a", "b", "c")
        await first.until(seen("message_part", 3))
        cut = first.named("message_part")[1]
    async with (
        Stack(database, guard) as replica,
        replica.follow(chat.id, after=cut.id) as second,
    ):
        await second.until(seen("message_part"))
        await chat.say("d")
        await second.until(seen("message_part", 2))
        await chat.commit("abcd")
        await second.until(seen("message"))
    parts = [f.data["part"]["text"] for f in second.named("message_part")]
    assert parts == ["c", "d"]
    assert second.named("preview_reset") == []


async def test_a_log_frame_keeps_the_place_in_the_preview(stack: Stack) -> None:
    """A queued message in the middle of an answer: resume there repeats no part."""
    chat = await ChatByHand.create(stack)
    await chat.acquire()
    await chat.attempt()
    async with stack.follow(chat.id) as client:
        await chat.say("a", "b")
        await client.until(seen("message_part", 2))
        await chat.send("wait")
        await client.until(seen("queue_update"))
    async with stack.follow(chat.id, after=client.last_id) as again:
        await chat.say("c")
        await again.until(seen("message_part"))
    assert [f.data["seq"] for f in again.named("message_part")] == [3]


async def test_snapshot_shows_the_preview_and_goes_on_after_it(stack: Stack) -> None:
    chat = await ChatByHand.create(stack)
    await chat.acquire()
    await chat.attempt()
    async with stack.follow(chat.id) as first:
        await chat.say("a", "b")
        await first.until(seen("message_part", 2))
        async with stack.follow(chat.id) as late:
            await late.until(seen("caught_up"))
            preview = late.frames[0].data["preview"]
            assert [p["part"]["text"] for p in preview["parts"]] == ["a", "b"]
            await chat.say("c")
            await late.until(seen("message_part"))
    assert [f.data["seq"] for f in late.named("message_part")] == [3]


async def test_after_now_starts_at_the_tail(stack: Stack) -> None:
    chat = await ChatByHand.create(stack)
    async with stack.follow(chat.id, after="now") as client:
        await client.until(seen("caught_up"))
        await chat.send("later")
        await client.until(seen("queue_update"))
    assert [f.event for f in client.frames] == ["caught_up", "queue_update"]


async def test_without_notifications_all_arrives_at_poll_speed(
    database: Database, guard: Guard
) -> None:
    async with Stack(database, guard, deaf=True, poll_interval_s=0.05) as deaf:
        chat = await ChatByHand.create(deaf)
        async with deaf.follow(chat.id) as client:
            await client.until(seen("caught_up"))
            await a_whole_turn(chat)
            await client.until(ended(2))
        await assert_fresh(deaf, chat, on_screen(client.frames))


async def test_a_cursor_that_cannot_be_honoured_gets_a_resync(stack: Stack) -> None:
    chat = await ChatByHand.create(stack)
    head = (await stack.chats.load(chat.id)).version
    cursors = {
        f"{head + 1}": "ahead",
        f"{head}~00000000": "history",
        "1~00000000": "history",
        f"{head}+1": "frames",
        "0+7": "frames",
        f"{head}/2.1.1": "part",
    }
    for cursor, reason in cursors.items():
        async with stack.follow(chat.id, after=cursor) as client:
            await client.until(seen("caught_up"))
            first = client.frames[0]
            assert (first.event, first.data["reason"]) == ("resync", reason), cursor
            assert first.data["chat"]["id"] == str(chat.id)


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "asgi"])
async def test_a_slow_follower_reads_the_log_and_misses_nothing(
    database: Database, guard: Guard, direct: bool
) -> None:
    async with Stack(database, guard, ring_frames=16) as small:
        chat = await ChatByHand.create(small)
        async with (
            small.follow(chat.id, direct=direct) as slow,
            small.follow(chat.id, direct=not direct) as quick,
        ):
            await slow.until(seen("caught_up"))
            slow.taking.clear()
            for number in range(19):
                await chat.send(f"{number}")
            await chat.acquire()
            for _ in range(20):
                await chat.attempt()
                await chat.commit("ok")
                await chat.finish()
            await quick.until(ended(20))
            slow.taking.set()
            await slow.until(ended(20))
        assert [f.id for f in slow.frames] == [f.id for f in quick.frames]
        await assert_fresh(small, chat, on_screen(slow.frames))


async def test_a_lifetime_ends_with_bye_and_the_cursor_goes_on(stack: Stack) -> None:
    chat = await ChatByHand.create(stack)
    async with stack.follow(chat.id, lifetime_s=0.0) as client:
        await client.until(seen("bye"))
    assert client.named("bye")[0].data["reason"] == "lifetime"
    await chat.send("more")
    async with stack.follow(chat.id, after=client.last_id) as again:
        await again.until(seen("queue_update"))
    assert again.named("snapshot") == []


async def test_a_hole_in_the_parts_starts_the_preview_again(stack: Stack) -> None:
    """After a crash of Postgres the worker writes the whole open episode again."""
    chat = await ChatByHand.create(stack)
    await chat.acquire()
    await chat.attempt()
    async with stack.follow(chat.id) as client:
        await chat.say("a", "b")
        await client.until(seen("message_part", 2))
        async with stack.pool.connection() as connection:
            await connection.execute("DELETE FROM es.live_parts")
        await chat.say("d", skip=1)
        chat.seq = 0
        await chat.say("a", "b", "c")
        await client.until(seen("message_part", 6))
    screen = on_screen(client.frames)
    assert screen.preview is not None
    assert screen.preview.text == "abcd"
    assert len(client.named("preview_reset")) == 1


async def test_heartbeat_is_shared_and_tells_staleness(
    database: Database, guard: Guard
) -> None:
    async with Stack(database, guard, heartbeat_s=0.05) as beating:
        chat = await ChatByHand.create(beating)
        async with beating.follow(chat.id) as client:
            await client.until(lambda c: "hb" in c.comments)
            beating.hub.on_stale(True)
            await client.until(lambda c: "stale" in c.comments)


async def test_a_follower_that_waits_for_parts_hears_the_heartbeat(
    database: Database, guard: Guard
) -> None:
    """Another replica showed it parts that this one has yet to read, if they exist."""
    async with Stack(database, guard, heartbeat_s=0.05) as beating:
        chat = await ChatByHand.create(beating)
        await chat.acquire()
        await chat.attempt()
        async with beating.follow(chat.id, after="4/2.1.1000") as client:
            await client.until(lambda c: c.comments.count("hb") >= 2)
            assert client.frames == []
            await chat.say("a")
            await chat.commit("a")
            await client.until(seen("caught_up"))
        assert client.named("message_part") == client.named("resync") == []


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "asgi"])
async def test_a_stalled_follower_is_cut(
    database: Database, guard: Guard, direct: bool
) -> None:
    async with Stack(
        database, guard, heartbeat_s=0.05, send_timeout_s=0.1
    ) as impatient:
        chat = await ChatByHand.create(impatient)
        async with impatient.follow(chat.id, direct=direct) as client:
            await client.until(seen("caught_up"))
            client.taking.clear()
            async with asyncio.timeout(PATIENCE_S):
                await client.ended.wait()
            assert impatient.hub.followers == 0


def test_clients_parse_what_curl_shows() -> None:
    client = Client()
    client._parse(b"id: 1\nevent: status\ndata: {}")
    assert client.frames == [WireFrame("1", "status", {})]
