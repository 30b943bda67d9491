"""The hot route's response and the library's: the same bytes, fewer of our cycles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse
from starlette.types import ASGIApp
from uvicorn.protocols.http.flow_control import FlowControl

from service.api.protocol import CLIENT, Client
from service.api.stream import RETRY, FramesResponse
from service.domain.events.chat import ChatCreated
from service.stream.followed import encode_frame
from service.stream.outlet import Outlet
from service.stream.view import Frame, View, control_frame, see
from tests import builders as b


def frames() -> list[tuple[str | None, Frame]]:
    """Frames of a chat's first events, and one without an id."""
    shown: list[tuple[str | None, Frame]] = []
    view = View()
    for event in b.a_chat():
        view, own = see(
            view, b.CHAT, event, at_border=not isinstance(event, ChatCreated)
        )
        shown += [(f"{view.version}~0a1b2c3d", frame) for frame in own]
    return [*shown, (None, control_frame("caught_up", b.CHAT))]


def data_of(frame: Frame) -> str:
    return frame.body.split(b"data: ", 1)[1].decode().removesuffix("\n\n")


async def call(
    app: ASGIApp, method: str = "GET"
) -> tuple[dict[str, Any], dict[str, str], bytes]:
    """Run a response to its end; its start message, headers and body."""
    sent: list[Any] = []
    left = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "http", "method": method}, receive, send)
    headers = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return sent[0], headers, b"".join(m["body"] for m in sent[1:])


async def test_frames_have_the_bytes_that_the_library_gives() -> None:
    async def write(out: Outlet) -> None:
        for cursor, frame in frames():
            await out.write(encode_frame(frame.body, cursor) if cursor else frame.body)

    async def content() -> AsyncIterator[ServerSentEvent]:
        for cursor, frame in frames():
            yield ServerSentEvent(data_of(frame), event=frame.name, id=cursor, sep="\n")

    library = EventSourceResponse(content(), sep="\n", ping=0)
    _, _, expected = await call(library)
    _, _, body = await call(FramesResponse(write))
    assert body == RETRY + expected
    assert b"\r" not in body


async def test_headers_keep_proxies_from_buffering_and_caches_from_keeping() -> None:
    async def write(_: Outlet) -> None:
        return

    start, headers, _ = await call(FramesResponse(write))
    assert start["status"] == 200
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-store, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert "connection" not in headers


async def test_head_is_answered_without_a_stream() -> None:
    async def write(_: Outlet) -> None:
        raise AssertionError("the stream began")

    _, headers, body = await call(FramesResponse(write), method="HEAD")
    assert headers["content-type"].startswith("text/event-stream")
    assert body == b""


async def test_a_client_that_leaves_ends_the_writer() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def write(_: Outlet) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def receive() -> dict[str, Any]:
        await began.wait()
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        return

    async with asyncio.timeout(5):
        await FramesResponse(write)({"type": "http", "method": "GET"}, receive, send)
    assert ended.is_set()


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))


def connected() -> tuple[Client, FlowControl, Wire]:
    wire = Wire()
    flow = FlowControl(wire)
    return Client(wire, flow), flow, wire


async def never() -> dict[str, Any]:
    raise AssertionError("our server tells; nobody asks it")


async def nowhere(_: Any) -> None:
    return


async def test_our_server_tells_a_stream_that_its_client_left() -> None:
    client, _, _ = connected()
    began = asyncio.Event()

    async def write(_: Outlet) -> None:
        began.set()
        await asyncio.Event().wait()

    scope = {"type": "http", "method": "GET", CLIENT: client}
    before = asyncio.all_tasks()
    stream = asyncio.create_task(FramesResponse(write)(scope, never, nowhere))
    async with asyncio.timeout(5):
        await began.wait()
        assert asyncio.all_tasks() - before == {stream}
        assert client.follows
        client.leave()
        await stream
    assert not client.follows


async def test_a_client_that_left_early_gets_no_stream() -> None:
    client, _, _ = connected()
    client.leave()

    async def write(_: Outlet) -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        await FramesResponse(write)(
            {"type": "http", "method": "GET", CLIENT: client}, never, nowhere
        )


async def test_who_shuts_down_may_still_cancel_a_stream() -> None:
    client, _, _ = connected()
    began = asyncio.Event()

    async def write(_: Outlet) -> None:
        began.set()
        await asyncio.Event().wait()

    scope = {"type": "http", "method": "GET", CLIENT: client}
    stream = asyncio.create_task(FramesResponse(write)(scope, never, nowhere))
    async with asyncio.timeout(5):
        await began.wait()
        stream.cancel()
        await asyncio.wait({stream})
    assert stream.cancelled()
    assert not client.follows


def test_a_chunk_is_written_unless_it_had_to_wait() -> None:
    client, flow, wire = connected()
    assert client.offer(b"1")
    flow.pause_writing()
    assert not client.offer(b"2")
    flow.resume_writing()
    assert client.offer(b"3")
    client.leave()
    assert not client.offer(b"4")
    assert wire.written == [b"1", b"3"]
