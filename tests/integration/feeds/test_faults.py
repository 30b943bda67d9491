"""Feeds over cut connections, a purge, a restart of Postgres and a stalled client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest

from service.api.context import Context
from service.api.events import LinesResponse
from service.api.stream import FeedResponse
from service.auth.bearer import Bearer
from service.auth.tickets import Tickets
from service.db.guard import Guard
from service.db.migrate import migrate
from service.metrics import Metrics
from service.stream.feed import feed
from service.stream.place import START
from service.stream.raw import RawChat, RawLog
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.purging import purge
from tests.fixtures.servers import RestartableServer
from tests.fixtures.stack import PATIENCE_S, Stack
from tests.integration.api.conftest import Api, said
from tests.integration.faults import cut
from tests.integration.feeds.conftest import Projecting, following, seen
from tests.integration.feeds.test_watch import a_turn, heard, told, watching


@pytest.mark.parametrize("whose", ["listener", "tail", "service"])
async def test_a_cut_connection_loses_nothing(
    api: Api, projecting: Projecting, whose: str
) -> None:
    chat_id = (await api.create())["id"]
    events = f"/api/v1/chats/{chat_id}/events"
    async with (
        projecting() as wakeup,
        following(api, events) as raw,
        watching(api, "?after=0") as watcher,
    ):
        await raw.until(seen("caught_up"))
        await watcher.until(heard(1))
        before = len(raw.named("event"))
        assert await cut(api.stack.database, whose)
        await api.post(f"/api/v1/chats/{chat_id}/messages", said("more"))
        await a_turn(api)
        wakeup.ring()
        await raw.until(seen("event", before + 1))
        await watcher.until(heard(3))
    assert [f.data["version"] for f in raw.named("event")] == [1, 2, 3]
    assert raw.named("resync") == watcher.named("resync") == []


async def test_owners_hear_that_a_chat_was_purged_and_nothing_of_it_is_left(
    api: Api, projecting: Projecting
) -> None:
    async with projecting(), watching(api, "?after=0") as watcher:
        kept, gone = await a_turn(api, "kept"), await a_turn(api, "a secret")
        await watcher.until(heard(4))
        await purge(api.stack.database, UUID(gone))
        await watcher.until(seen("deleted"))
        last = watcher.named("deleted")[0]
        assert last.data["chat"].keys() == {"id", "version"}
        assert last.data["chat"]["id"] == gone
        # numbers go on without a hole, for those who come back too
        await a_turn(api, "after")
        await watcher.until(heard(7))
        async with watching(api, f"?after={last.id}") as again:
            assert told(again) == told(watcher)[5:]
    async with watching(api, "?after=0") as late:
        pass
    assert "secret" not in str(late.frames)
    assert [f.data["chat"]["id"] for f in told(late)][:3] == [kept, kept, gone]
    assert late.named("resync") == []


async def test_a_feed_stays_open_over_a_restart_of_postgres(
    restartable_server: RestartableServer, guard: Guard
) -> None:
    await migrate(restartable_server.database)
    async with Stack(restartable_server.database, guard) as stack:
        chat = await ChatByHand.create(stack)
        blocks: list[dict[str, Any]] = []
        moved = asyncio.Event()

        async def read() -> None:
            source = RawChat(stack.pool, chat.id)
            async for block in feed(source, START, stack.feeds.bells, lifetime_s=600):
                blocks.append(block)
                moved.set()

        async def until(event: str, count: int) -> None:
            async with asyncio.timeout(PATIENCE_S * 2):
                while len([b for b in blocks if b.get("event") == event]) < count:
                    moved.clear()
                    await moved.wait()

        reading = asyncio.create_task(read())
        await until("caught_up", 1)
        await restartable_server.stop()
        await restartable_server.start()
        await chat.send("after the restart")
        await until("event", 3)
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
    ids = [block["id"] for block in blocks if block.get("event") == "event"]
    assert len(set(ids)) == len(ids) == 3


async def stalled(response: Any) -> list[Any]:
    """Send a response to a client that takes its first bytes and no more."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) > 2:
            await asyncio.Event().wait()

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    scope = {"type": "http", "method": "GET", "asgi": {"spec_version": "2.3"}}
    async with asyncio.timeout(PATIENCE_S):
        await response(scope, receive, send)
    return sent


def context_of(stack: Stack) -> Context:
    return Context(
        chats=stack.chats,
        pool=stack.pool,
        bearer=Bearer(stack.pool, now=stack.now),
        tickets=Tickets(stack.pool, now=stack.now),
        hub=stack.hub,
        feeds=stack.feeds,
        metrics=Metrics(),
        now=stack.now,
    )


async def test_a_quiet_stream_is_kept_alive_and_tells_staleness(stack: Stack) -> None:
    stack.feeds.heartbeat_s = 0.01
    bodies: list[bytes] = []
    ended = asyncio.Event()

    async def send(message: Any) -> None:
        bodies.append(message.get("body", b""))
        if b": hb\n\n" in bodies:
            stack.hub.on_stale(True)
        if b": stale\n\n" in bodies:
            ended.set()

    async def receive() -> dict[str, Any]:
        await ended.wait()
        return {"type": "http.disconnect"}

    response = FeedResponse(
        RawLog(stack.pool), START, context_of(stack), stack.feeds.bells
    )
    async with asyncio.timeout(PATIENCE_S):
        await response({"type": "http", "method": "GET"}, receive, send)
    assert response.headers["cache-control"] == "no-store, no-transform"
    assert response.headers["x-accel-buffering"] == "no"


async def test_a_client_that_takes_nothing_is_cut(stack: Stack) -> None:
    await ChatByHand.create(stack)
    feeds = stack.feeds
    feeds.send_timeout_s = 0.05
    context = context_of(stack)
    sent = await stalled(FeedResponse(RawLog(stack.pool), START, context, feeds.bells))
    assert sent[-1].get("more_body") is True
    assert feeds.open == 0

    async def lines() -> AsyncIterator[bytes]:
        while True:
            yield b"{}\n"

    sent = await stalled(LinesResponse(lines(), send_timeout_s=0.05))
    assert sent[-1].get("more_body") is True
