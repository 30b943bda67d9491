"""What is heard of a body: its beginning, its end, and the vendor's final word."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import wire
from service.providers.choose import Api
from service.providers.provider import (
    RESPONSE_BYTES,
    Finish,
    ModelRequest,
    Opened,
    ProviderError,
    TextDelta,
)
from service.providers.said import BODY_BYTES
from service.providers.vendor.wire import EVENT_BYTES, Listener, hear
from tests.builders import user
from tests.unit.providers.events import Items, chunk, spoken, started, stopped
from tests.unit.providers.recorded import Body, messages_of, recorded, sse

PATIENCE_S = 10.0

ITEMS = Items()

BODIES: dict[Api, bytes] = {
    "chat": sse(
        ": alive",
        chunk({"content": 'the "usage": {} of things'}),
        chunk(reason="stop"),
        {**chunk(usage={"total_tokens": 7}), "choices": []},
        "[DONE]",
    ),
    "responses": sse(
        ITEMS.created(), *ITEMS.text("m1", "response.completed"), ITEMS.completed()
    ),
    "messages": sse(started(), *spoken(0, "message_stop"), *stopped("end_turn")),
}


def heard(api: Api, *pieces: bytes) -> tuple[Listener, list[int]]:
    """The listener, and after how many pieces it said that bytes are there."""
    opened: list[int] = []
    count = 0
    listener = Listener(api, lambda: opened.append(count))
    listener.begin()
    for piece in pieces:
        count += 1
        listener.feed(piece)
    return listener, opened


@pytest.mark.parametrize("api", BODIES)
@pytest.mark.parametrize("line", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
@given(size=st.integers(1, 200))
def test_pieces_do_not_matter(api: Api, line: bytes, size: int) -> None:
    body = BODIES[api].replace(b"\n", line)
    whole, _ = heard(api, body)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    listener, opened = heard(api, b"", *pieces)
    assert whole.ended
    assert opened == [2]
    assert (listener.ended, listener.final()) == (True, whole.final())


@pytest.mark.parametrize("api", BODIES)
def test_a_body_ends_with_its_last_event(api: Api) -> None:
    body = BODIES[api]
    ends = [at for at in range(len(body) + 1) if heard(api, body[:at])[0].ended]
    assert ends, "it ends somewhere"
    end = b"[DONE]" if api == "chat" else b""
    assert len(body) - len(end) - 300 < min(ends) <= len(body)


def test_what_was_said_is_not_kept() -> None:
    for api, body in BODIES.items():
        told = heard(api, body)[0].response()
        assert told
        assert not told.keys() & {"content", "output", "choices", "instructions"}


def test_a_long_word_is_cut_down_to_its_head() -> None:
    end = Items().completed(metadata={"a": "x" * RESPONSE_BYTES})
    listener, _ = heard("responses", sse(end))
    told = listener.response()
    assert told is not None
    assert told["id"] == "resp_1"
    assert len(wire.dumps(told)) <= RESPONSE_BYTES
    assert "metadata" not in told
    assert "metadata" in listener.final()


@pytest.mark.parametrize(
    "body",
    [b"", b"\n\n\n\n", b"data: {\n\n", b'data: "x"\n\n', b"<html>", b"\xff\xfe\n\n"],
    ids=range(6),
)
def test_what_is_no_event_says_nothing(body: bytes) -> None:
    for api in BODIES:
        listener, _ = heard(api, body)
        assert not listener.ended
        assert listener.response() is None


def test_an_event_without_end_is_not_kept_for_ever() -> None:
    piece = b"x" * (EVENT_BYTES // 4)
    with pytest.raises(ProviderError, match="no end"):
        heard("responses", *[piece] * 6)


class Whole(Body):
    """Its parts come as they are."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.told:
            assert isinstance(part, bytes)
            yield part


async def test_an_event_without_end_ends_the_call() -> None:
    async with recorded("chat") as openai:
        body = Whole([b"data: " + b"x" * EVENT_BYTES, b"x"])
        openai.bodies.append(body)
        with pytest.raises(ProviderError, match="no end") as raised:
            await openai.stream(asking())
    assert not raised.value.retryable
    assert body.closed.is_set()


def test_another_response_begins_anew() -> None:
    listener, opened = heard("messages", BODIES["messages"])
    listener.begin()
    listener.feed(sse(started()))
    assert not listener.ended
    assert opened == [1]


def asking() -> ModelRequest:
    return ModelRequest(messages_of(user()), ())


@pytest.mark.parametrize("api", BODIES)
async def test_that_it_begins_is_told_before_anything_is_said(api: Any) -> None:
    """Even where all that came is a comment, with which proxies keep a line open."""
    more = asyncio.Event()
    async with recorded(api) as vendor, asyncio.timeout(PATIENCE_S):
        vendor.bodies.append(Body([b": alive\n\n", more, BODIES[api]]))
        async with aclosing(vendor.provider.stream(asking())) as deltas:
            assert await anext(deltas) == Opened()
            more.set()
            rest = [delta async for delta in deltas]
    assert any(isinstance(delta, TextDelta) for delta in rest)
    assert isinstance(rest[-1], Finish)


@pytest.mark.parametrize("api", BODIES)
async def test_closing_a_stream_closes_its_body(api: Any) -> None:
    async with recorded(api) as vendor, asyncio.timeout(PATIENCE_S):
        body = Body([b": alive\n\n", asyncio.Event()])
        vendor.bodies.append(body)
        async with aclosing(vendor.provider.stream(asking())) as deltas:
            await anext(deltas)
        assert body.closed.is_set()


@pytest.mark.parametrize("api", BODIES)
async def test_cancelling_a_reader_closes_the_body(api: Any) -> None:
    async with recorded(api) as vendor, asyncio.timeout(PATIENCE_S):
        body = Body([b": alive\n\n", asyncio.Event()])
        vendor.bodies.append(body)
        begun = asyncio.Event()

        async def read() -> None:
            async with aclosing(vendor.provider.stream(asking())) as deltas:
                async for _ in deltas:
                    begun.set()

        task = asyncio.create_task(read())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert body.closed.is_set()


class Cancelled(Body):
    """A body that a library gives up within."""

    async def __aiter__(self) -> Any:
        yield b": alive\n\n"
        raise asyncio.CancelledError


async def test_what_was_cancelled_by_others_is_an_error() -> None:
    async with recorded("chat") as vendor, asyncio.timeout(PATIENCE_S):
        vendor.bodies.append(Cancelled([]))
        with pytest.raises(ProviderError) as cut:
            await vendor.stream(asking())
    assert (cut.value.kind, cut.value.retryable) == ("timeout", True)


async def test_a_compressed_body_is_an_answer_all_the_same() -> None:
    """Some proxies compress whatever they are asked for."""
    async with recorded("messages") as vendor:
        body = Body([gzip.compress(BODIES["messages"])])
        vendor.bodies.append(body)
        vendor.encoding = "gzip"
        deltas = await vendor.stream(asking())
        assert deltas[-1] == Finish("stop")
        vendor.bodies.append(Body([gzip.compress(sse(started(), *spoken(0, "x")))]))
        with pytest.raises(ProviderError):
            await vendor.stream(asking())


async def test_calls_side_by_side_hear_their_own() -> None:
    async with recorded("chat") as vendor:
        for number in range(4):
            vendor.plays({**chunk({"content": "x"}, "stop"), "id": f"c{number}"})
        ends = await asyncio.gather(*(vendor.stream(asking()) for _ in range(4)))
    responses = [end[-1].response for end in ends if isinstance(end[-1], Finish)]
    assert {told["id"] for told in responses if told} == {"c0", "c1", "c2", "c3"}


def test_a_final_word_of_a_hundred_thousand_names_is_cut_in_one_go() -> None:
    many = {f"k{number}": number for number in range(100_000)}
    end = {**chunk(reason="stop"), **many}
    listener, _ = heard("chat", sse(end))
    begun_at = time.process_time()
    told = listener.response()
    # seconds for each thousand, when every name that goes is a look at the rest
    assert time.process_time() - begun_at < 2
    assert told is not None
    size = len(wire.dumps(told))
    assert RESPONSE_BYTES - 32 < size <= RESPONSE_BYTES


async def test_of_an_error_without_end_only_the_beginning_is_read() -> None:
    piece = b"no " * 10_000
    read = 0

    class Endless(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            nonlocal read
            while True:
                read += len(piece)
                yield piece

    async def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(500, stream=Endless())

    transport = httpx2.MockTransport(answer)
    hooks = {"response": [hear]}
    async with httpx2.AsyncClient(transport=transport, event_hooks=hooks) as http:
        async with asyncio.timeout(PATIENCE_S):
            response = await http.get("http://vendor.test/")
    assert len(response.content) == BODY_BYTES
    assert read < BODY_BYTES + len(piece)
