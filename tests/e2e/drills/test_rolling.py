"""Processes replaced one by one while chats go on: by the same release, by a newer."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest

from service.client.client import Client
from service.client.shapes import Chat
from service.db.pool import Database
from tests.e2e.conftest import Serve, Served
from tests.e2e.drills.conftest import Drill
from tests.e2e.drills.fleet import Fleet
from tests.e2e.drills.follower import PATIENCE_S, Follower
from tests.e2e.drills.verdict import assert_log, assert_whole

NEWER = (sys.executable, str(Path(__file__).with_name("newer.py")))
TITLE = "as the newer one writes it"


@pytest.mark.slow
async def test_a_rolling_restart_loses_nothing(drill: Drill) -> None:
    """Each process is told to end, does so in order, and another takes its place."""
    await drill.talk(4, of_tools=1)
    async with drill.under_load() as progress:
        for member in list(drill.fleet.members):
            await progress.more(2)
            assert await drill.fleet.replace(member, signal.SIGTERM) == 0
        await progress.more(2)
    await assert_whole(drill.fleet, drill.database, drill.talks)


async def test_a_newer_release_takes_over_what_the_older_cannot_read(
    serve: Serve, on_database: dict[str, str], database: Database
) -> None:
    """In the middle of an answer; other chats go on in both, and nothing is lost."""
    # the old worker would not be done before the new one is there
    slow = {"scripted_rate": "5", "stream_lifetime_s": "600"}
    async with AsyncExitStack() as stack:
        fleet = Fleet(serve, stack, on_database | slow)
        old = [await fleet.add(role) for role in ("api", "worker", "projector")]
        client = await stack.enter_async_context(fleet.client())
        chat = await client.create("count 500")
        follower = Follower(client, chat, after="0")
        stack.push_async_callback(follower.stop)
        seen = asyncio.create_task(_stream(old[0].served, chat))
        await follower.until(lambda: follower.view.preview)
        fleet.settings["scripted_rate"] = "500"
        newer = await fleet.add("api", program=NEWER)
        await fleet.add("worker", program=NEWER)
        async with Client(newer.served.url, fleet.token) as upgraded:
            await upgraded.update(chat, title=TITLE)
        await _gave_way(old[0].served, old[2].served, chat, await seen)
        # not before: it would be the first to read the event
        await fleet.add("projector", program=NEWER)
        await follower.until(lambda: follower.view.turns)
        assert follower.view.title == TITLE
        assert follower.view.turns[0].outcome == "finished"
        await _goes_on(old[0].served, fleet.token)
        for member in old:
            assert await fleet.retire(member) == 0
        await client.send(chat, "count 5")
        await follower.until(lambda: len(follower.view.turns) == 2)
        assert follower.view.answer == "1 2 3 4 5"
        replay = Follower(client, chat, after="0")
        await replay.until(lambda: replay.view.caught_up)
        await replay.stop()
        assert follower.of_log == replay.of_log
        workers = [
            event["data"]["worker"]
            async for event in client.events(chat)
            if event["type"] == "run_acquired"
        ]
        assert {fleet.holder(worker).roles for worker in workers[1:]} == {"worker"}
        await assert_log(fleet, database)


async def _stream(served: Served, chat: Chat) -> bytes:
    """All that this process says of the chat, up to its goodbye."""
    raw = b""
    async with (
        asyncio.timeout(PATIENCE_S),
        _http(served) as http,
        http.stream("GET", f"/api/v1/chats/{chat['id']}/stream") as stream,
    ):
        async for piece in stream.aiter_bytes():
            raw += piece
    return raw


async def _gave_way(
    api: Served, projector: Served, chat: Chat, streamed: bytes
) -> None:
    """The older ones do nothing any more to what they cannot read."""
    assert b"event: bye" in streamed
    assert b'"reason":"upgrade"' in streamed
    async with _http(api) as http:
        path = f"/api/v1/chats/{chat['id']}"
        assert (await http.get(path)).status_code == 503
        body = {"content": [{"type": "text", "text": "hello"}]}
        sent = await http.post(f"{path}/messages", json=body)
        assert sent.status_code == 503
        # a chat that is still known there opens, and ends at once
        again = await http.get(f"{path}/stream")
        assert again.status_code == 503 or b'"reason":"upgrade"' in again.content
    await projector.log.has("waiting for a newer release to take an event")


async def _goes_on(older: Served, token: str) -> None:
    """A chat that no newer release has touched."""
    async with Client(older.url, token) as client:
        chat = await client.create("count 3")
        view = await client.turn_finished(chat, timeout_s=PATIENCE_S)
    assert view.answer == "1 2 3"


def _http(served: Served) -> httpx2.AsyncClient:
    headers = {"authorization": f"Bearer {served.token}"}
    return httpx2.AsyncClient(base_url=served.url, headers=headers, timeout=PATIENCE_S)
