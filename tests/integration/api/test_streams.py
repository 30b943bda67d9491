"""What an open stream of a chat keeps, and how it learns that its client has left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from service import wire
from service.subscription import tail
from tests.fixtures.byhand import ChatByHand
from tests.integration.api.conftest import PATIENCE_S, Api, said

LARGE = 300_000
"""More of a body than the server keeps before it stops reading."""
STORM = 60
"""Streams that open at once; each asks for a connection three times."""


class Following:
    """A stream on a socket of its own."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.body = b""

    async def until(self, mark: bytes) -> None:
        """Read chunks until what came holds this."""
        async with asyncio.timeout(PATIENCE_S):
            while mark not in self.body:
                size = int(await self._reader.readline(), 16)
                assert size > 0, "the stream ended"
                self.body += (await self._reader.readexactly(size + 2))[:-2]

    async def then(self, request: bytes) -> None:
        """Ask for something else, to be answered when the stream has ended."""
        self._writer.write(request)
        await self._writer.drain()

    async def answer(self) -> bytes:
        """The status line of that answer; the stream ended before it."""
        async with asyncio.timeout(PATIENCE_S):
            assert await self._reader.readline() == b"0\r\n"
            await self._reader.readline()
            return await self._reader.readline()


@asynccontextmanager
async def follow(
    api: Api, chat_id: Any, *, query: str = "", body: bytes = b""
) -> AsyncIterator[Following]:
    """Follow a chat until the client leaves without a word."""
    reader, writer = await asyncio.open_connection(*api.address)
    try:
        writer.write(
            f"GET /api/v1/chats/{chat_id}/stream{query} HTTP/1.1\r\nhost: x\r\n"
            f"authorization: Bearer {api.token}\r\nx-request-id: r/7\r\n"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        async with asyncio.timeout(PATIENCE_S):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        yield Following(reader, writer)
    finally:
        writer.close()


def streams(tasks: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """The tasks of requests, and those of streams; pool and tail have theirs, too."""
    return {
        task
        for task in tasks
        if "run_asgi" in repr(task) or "api/stream.py" in repr(task)
    }


async def ended(tasks: set[asyncio.Task[Any]]) -> None:
    done, late = await asyncio.wait(tasks, timeout=PATIENCE_S)
    assert not late
    assert not any(task.cancelled() or task.exception() for task in done)


@pytest.mark.parametrize("size", [0, LARGE], ids=["no-body", "with-a-body"])
async def test_a_stream_is_one_task_that_ends_when_its_client_leaves(
    api: Api, size: int
) -> None:
    chat = await api.create()
    before = asyncio.all_tasks()
    async with follow(api, chat["id"], body=b"x" * size) as client:
        await client.until(b"event: caught_up")
        tasks = streams(asyncio.all_tasks() - before)
        assert len(tasks) == 1
        assert api.stack.hub.followers == 1
    await ended(tasks)
    assert api.stack.hub.followers == 0


async def test_a_request_behind_a_stream_keeps_its_body(api: Api) -> None:
    chat = await api.create()
    body = wire.dumps(said("behind"))
    async with follow(api, chat["id"]) as client:
        await client.until(b"event: caught_up")
        await client.then(
            b"POST /api/v1/chats HTTP/1.1\r\nhost: x\r\n"
            b"content-type: application/json\r\n"
            + f"authorization: Bearer {api.token}\r\n".encode()
            + b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        # an answer on another connection: the first one's bytes have been read, too
        await api.get("/healthz")
        api.stack.hub.reset()
        await client.until(b"event: bye")
        assert await client.answer() == b"HTTP/1.1 201 Created\r\n"


async def test_what_is_written_past_asgi_has_the_same_bytes(api: Api) -> None:
    created = await api.create()
    chat = ChatByHand(api.stack, UUID(created["id"]))
    async with (
        follow(api, chat.id, query="?after=now") as client,
        api.stack.follow(chat.id, "now", direct=False) as other,
    ):
        await client.until(b"event: caught_up")
        await other.until(lambda c: bool(c.named("caught_up")))
        began = len(client.body)
        await chat.acquire()
        await chat.attempt()
        await chat.say("he", "y")
        await chat.commit("hey")
        await chat.finish()
        await client.until(b"event: turn_finished")
        await other.until(lambda c: bool(c.named("turn_finished")))
        await client.until(f"id: {other.last_id}\n".encode())
    ids = [
        line.removeprefix(b"id: ").decode()
        for line in client.body[began:].split(b"\n")
        if line.startswith(b"id: ")
    ]
    assert ids == [frame.id for frame in other.frames if frame.id is not None]


async def test_the_record_of_a_stream_tells_what_it_was(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    chat = await api.create()
    caplog.set_level(logging.INFO, "service.api.middleware")
    before = asyncio.all_tasks()
    async with follow(api, chat["id"]) as client:
        await client.until(b"event: caught_up")
        tasks = streams(asyncio.all_tasks() - before)
    await ended(tasks)
    told = caplog.records[-1].__dict__
    assert told["route"] == "/api/v1/chats/{chat_id}/stream"
    assert (told["method"], told["status"]) == ("GET", 200)
    assert told["chat_id"] == chat["id"]


async def test_streams_that_open_all_at_once_take_turns_not_the_pool(api: Api) -> None:
    chats = [(await api.create())["id"] for _ in range(STORM)]
    pool = api.stack.pool
    # as many connections as there may be, before it is counted who waits for one
    await asyncio.gather(*(api.get("/api/v1/chats") for _ in range(8)))
    waits = pool.waits

    async def opened(chat: str) -> bytes:
        async with follow(api, chat, query="?after=0") as client:
            await client.until(b"event: caught_up")
            return client.body

    bodies = await asyncio.gather(*(opened(chat) for chat in chats))
    assert all(b"event: error" not in body for body in bodies)
    assert pool.waits - waits < STORM // 4


@pytest.mark.parametrize("named", [0, tail.NAMED], ids=["data_of_all", "by_name"])
async def test_frames_come_whether_followed_chats_are_named_or_not(
    api: Api, monkeypatch: pytest.MonkeyPatch, named: int
) -> None:
    monkeypatch.setattr(tail, "NAMED", named)
    chat, other = (await api.create())["id"], (await api.create())["id"]
    async with follow(api, chat) as client:
        await client.until(b"event: caught_up")
        for each in (other, chat):
            await api.post(f"/api/v1/chats/{each}/messages", said("one more"))
        await client.until(b"event: queue_update")
        assert other.encode() not in client.body
