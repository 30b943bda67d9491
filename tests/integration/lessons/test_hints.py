"""L1, L2, L3, L6, L15: a notification is a hint; the log says what there is."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from uuid import UUID, uuid4

import psycopg

from service import wire
from service.db.guard import Guard
from service.db.pool import Database, connect
from service.domain.commands.chat import UpdateChat
from service.eventstore import codec
from service.eventstore.records import (
    NO_STREAM,
    AppendRequest,
    StreamAppend,
    StreamName,
)
from service.subscription.listener import LOG_CHANNEL
from tests import builders as b
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import PATIENCE_S, Client, Stack
from tests.integration.agent.crew import (
    Gated,
    Watch,
    hand,
    history,
    rests,
    texts,
    types,
)
from tests.reducer import ChatOnScreen

NEVER_S = 60.0
"""A poll that comes too late for any test."""

GHOST = """
INSERT INTO ops.leases (chat_id, worker, term, lease_time, heartbeat_at)
VALUES (%s, 'ghost', 7, interval '1 second', clock_timestamp() - interval '1 day')
"""
WAITS = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'parley/leases' AND wait_event_type = 'Lock'
  AND datname = current_database()
"""


def on_screen(client: Client) -> ChatOnScreen:
    """Fails when a message or a part came twice."""
    screen = ChatOnScreen()
    for frame in client.frames:
        if frame.event is not None:
            screen.take(frame.event, frame.data)
    return screen


async def test_l01_a_queued_message_is_answered_although_nobody_was_woken(
    database: Database, guard: Guard
) -> None:
    provider = Gated()
    async with (
        Stack(database, guard, deaf=True, poll_interval_s=0.1) as stack,
        hand(stack, provider=provider, poll_interval_s=0.1),
    ):
        watch = Watch(stack)
        chat = await ChatByHand.create(stack, "one")
        await provider.asked.wait()
        for text in ("two", "three"):
            await chat.send(text)
        provider.gate.set()
        state = await watch.until(chat.id, lambda s: rests(s) and not s.queue)
    assert texts(state, "user") == ["one", "two", "three"]
    assert texts(state) == ["well then"] * 3


async def test_l01_a_wake_up_that_meets_a_locked_row_is_not_used_up(
    stack: Stack, watch: Watch, database: Database
) -> None:
    """The worker waits for the row's lock; it does not skip the chat."""
    chat = await ChatByHand.create(stack, "count 3")
    async with await psycopg.AsyncConnection.connect(database.dsn) as holder:
        await holder.execute(GHOST, (chat.id,))
        async with hand(stack, poll_interval_s=NEVER_S):
            async with (
                asyncio.timeout(PATIENCE_S),
                await connect(database, role=None, name="looks") as looks,
            ):
                while await _count(looks) == 0:
                    await looks.execute("SELECT pg_stat_clear_snapshot()")
            await holder.rollback()
            state = await watch.until(chat.id, rests)
    assert texts(state) == ["1 2 3"]


async def _count(connection: psycopg.AsyncConnection) -> int:
    row = await (await connection.execute(WAITS)).fetchone()
    assert row is not None
    return int(row[0])


async def test_l02_a_follower_misses_nothing_that_commits_side_by_side(
    database: Database, guard: Guard
) -> None:
    """Two processes change one chat; versions are given under the lock of the log."""
    async with (
        Stack(database, guard) as one,
        Stack(database, guard) as two,
        Stack(database, guard) as three,
    ):
        chat = await ChatByHand.create(one)

        async def rename(stack: Stack, name: str) -> None:
            command = UpdateChat(now=stack.now(), actor="test", title=name)
            await stack.chats.execute(chat.id, command, actor="test")

        async with three.follow(chat.id) as client:
            await client.until(lambda c: bool(c.named("caught_up")))
            await asyncio.gather(
                *(rename(s, f"{n}-{s is one}") for n in range(30) for s in (one, two))
            )
            await client.until(lambda c: len(c.named("chat_updated")) >= 60)
    versions = [frame.data["version"] for frame in client.named("chat_updated")]
    assert versions == list(range(3, 63))


async def test_l03_who_begins_to_follow_at_any_moment_sees_the_whole(
    stack: Stack,
) -> None:
    """Join, then read: nothing falls between the snapshot and what comes after it."""
    chat = await ChatByHand.create(stack)
    async with AsyncExitStack() as following:
        clients = []
        for number in range(25):
            change = UpdateChat(now=stack.now(), actor="test", title=f"title {number}")
            appending = asyncio.create_task(chat.execute(change))
            clients.append(await following.enter_async_context(stack.follow(chat.id)))
            await appending
        await chat.acquire()
        await chat.attempt()
        await chat.commit("so")
        await chat.finish()
        version = (await stack.chats.load(chat.id)).version
        for client in clients:
            await client.until(lambda c: bool(c.named("turn_finished")))
            screen = on_screen(client)
            assert screen.title == "title 24"
            assert screen.status == "waiting"
            assert list(screen.messages) == [2, version - 2]


async def test_l06_a_notification_of_an_earlier_turn_stops_no_later_one(
    stack: Stack, watch: Watch
) -> None:
    provider = Gated()
    async with hand(stack, provider=provider):
        chat = await ChatByHand.create(stack)
        await provider.asked.wait()
        await chat.interrupt()
        await watch.until(chat.id, rests)
        events = types(await history(stack, chat.id))
        stale = _hint(chat.id, events.index("interrupt_requested") + 1, len(events))
        provider.asked.clear()
        await chat.send("and now?")
        await provider.asked.wait()
        await _ring(stack, stale)
        provider.gate.set()
        state = await watch.until(
            chat.id, lambda s: rests(s) and len(texts(s, "user")) == 2
        )
    assert texts(state)[-1] == "well then"
    assert types(await history(stack, chat.id)).count("interruption_finished") == 1


def _hint(chat_id: UUID, first: int, last: int) -> str:
    streams = [["chat", str(chat_id), first, last]]
    return wire.dumps({"first": first, "last": last, "streams": streams}).decode()


async def _ring(stack: Stack, payload: str) -> None:
    """Ring the doorbell again with this, and wait until it was heard here."""
    heard = asyncio.Event()
    stack.listener.subscribe(
        LOG_CHANNEL, lambda told: heard.set() if told == payload else None
    )
    async with stack.pool.connection() as connection:
        await connection.execute("SELECT pg_notify(%s, %s)", (LOG_CHANNEL, payload))
    async with asyncio.timeout(PATIENCE_S):
        await heard.wait()


async def test_l15_an_append_over_more_streams_than_a_notification_names_is_heard(
    database: Database, guard: Guard
) -> None:
    """No payload is too large, and who follows one of them hears it at once."""
    async with Stack(database, guard, poll_interval_s=NEVER_S) as stack:
        heard: list[str] = []
        stack.listener.subscribe(LOG_CHANNEL, lambda told: heard.append(told or ""))
        chat = await ChatByHand.create(stack)
        async with stack.follow(chat.id) as client:
            await client.until(lambda c: bool(c.named("caught_up")))
            loaded = await stack.chats.load(chat.id)
            ours = StreamAppend(
                StreamName("chat", chat.id),
                loaded.version,
                (codec.encode(b.user("among many"), {"actor": "test"}),),
            )
            others = [
                StreamAppend(
                    StreamName("chat", uuid4()),
                    NO_STREAM,
                    (codec.encode(b.created(), {"actor": "test"}),),
                )
                for _ in range(400)
            ]
            request = AppendRequest((*others, ours), str(uuid4()), b"h" * 32)
            await stack.appender.append(request)
            await client.until(
                lambda c: c.frames[-1].data.get("version") == loaded.version + 1
            )
    assert max(map(len, heard)) < 8000
