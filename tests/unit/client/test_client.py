"""The client against a service that is told what to answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx2
import pytest

from service import wire
from service.client import client as module
from service.client.client import ApiError, Client, ConnectionFailed, Frame

CHAT = UUID(int=1)
TOKEN = "parley_x"


@dataclass
class Service:
    """Answers one request after the other as a test says; keeps what was asked."""

    answers: list[Callable[[httpx2.Request], httpx2.Response]]
    asked: list[httpx2.Request] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        return self.answers.pop(0)(request)

    def client(self) -> Client:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self))
        return Client("http://x", TOKEN, http=http)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Reconnects come at once; how long they would have waited is kept."""
    waited: list[float] = []

    async def note(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", note)
    return waited


def stream(*blocks: str, broken: bool = False) -> Callable[..., httpx2.Response]:
    async def body() -> AsyncIterator[bytes]:
        for block in blocks:
            yield block.encode()
        if broken:
            raise httpx2.ReadError("reset by peer")

    return lambda _: httpx2.Response(200, content=body())


def frame(id_: int, name: str = "status", **data: Any) -> str:
    payload = wire.dumps({"type": name, "version": id_, **data}).decode()
    return f"id: {id_}\nevent: {name}\ndata: {payload}\n\n"


def problem(status: int, slug: str = "x") -> Callable[..., httpx2.Response]:
    body = {"type": f"/problems/{slug}", "title": "No", "status": status, "detail": "d"}
    return lambda _: httpx2.Response(status, content=wire.dumps(body))


def unreachable(_: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("refused")


async def take(client: Client, count: int, after: str | None = None) -> list[Frame]:
    frames = []
    async with client:
        async for got in client.follow(CHAT, after=after):
            frames.append(got)
            if len(frames) == count:
                return frames
    raise AssertionError("the stream ended")


async def test_follow_resumes_after_the_last_whole_frame() -> None:
    service = Service(
        [
            stream(frame(1), frame(2), "id: 3\nevent: status\ndata: {", broken=True),
            stream(frame(3), frame(4)),
        ]
    )
    frames = await take(service.client(), 4)
    assert [f.id for f in frames] == ["1", "2", "3", "4"]
    assert "last-event-id" not in service.asked[0].headers
    assert service.asked[1].headers["last-event-id"] == "2"
    assert service.asked[1].headers["authorization"] == f"Bearer {TOKEN}"


async def test_follow_moves_past_blocks_that_it_does_not_give_out() -> None:
    bye = 'event: bye\ndata: {"type":"bye","reason":"lifetime"}\n\n'
    service = Service(
        [stream(frame(1), "id: 5\n\n", ": hb\n\n", bye), stream(frame(6))]
    )
    frames = await take(service.client(), 2)
    assert [f.id for f in frames] == ["1", "6"]
    assert service.asked[1].headers["last-event-id"] == "5"


async def test_follow_begins_after_a_given_place() -> None:
    service = Service([stream(frame(8))])
    await take(service.client(), 1, after="7~ab")
    assert service.asked[0].headers["last-event-id"] == "7~ab"


async def test_follow_waits_as_the_service_wishes_and_longer_after_failures(
    no_pauses: list[float],
) -> None:
    away = 'event: error\ndata: {"type":"error","error":{"retryable":true}}\n\n'
    service = Service(
        [
            stream("retry: 4000\n\n", away),
            unreachable,
            problem(503),
            stream(frame(1)),
        ]
    )
    frames = await take(service.client(), 1)
    assert [f.id for f in frames] == ["1"]
    for waited, wish in zip(no_pauses, (4, 8, 16), strict=True):
        assert wish / 2 <= waited <= wish


async def test_an_error_of_the_chat_is_given_out() -> None:
    service = Service([stream(frame(4, "error", error={"message": "no"}))])
    (got,) = await take(service.client(), 1)
    assert got.name == "error"


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_follow_ends_when_the_service_means_it(status: int) -> None:
    service = Service([problem(status, "chat-not-found")])
    with pytest.raises(ApiError) as refused:
        await take(service.client(), 1)
    assert (refused.value.status, refused.value.slug) == (status, "chat-not-found")


async def test_a_post_is_repeated_with_its_key_until_it_is_answered() -> None:
    done = {"id": str(CHAT)}
    service = Service(
        [
            unreachable,
            problem(503),
            lambda _: httpx2.Response(201, content=wire.dumps(done)),
        ]
    )
    async with service.client() as client:
        assert await client.create("hello") == done
    keys = {request.headers["idempotency-key"] for request in service.asked}
    assert len(keys) == 1
    assert len({request.content for request in service.asked}) == 1


async def test_a_post_gives_up_in_the_end() -> None:
    service = Service([unreachable] * 5)
    async with service.client() as client:
        with pytest.raises(ConnectionFailed):
            await client.send(CHAT, "hello")
    service = Service([problem(503, "overloaded")] * 5)
    async with service.client() as client:
        with pytest.raises(ApiError) as refused:
            await client.interrupt(CHAT)
    assert refused.value.slug == "overloaded"


async def test_a_refusal_is_not_repeated() -> None:
    service = Service([problem(429, "queue-full")])
    async with service.client() as client:
        with pytest.raises(ApiError):
            await client.send(CHAT, "hello")


async def test_an_error_page_of_a_proxy_is_an_error_too() -> None:
    service = Service([lambda _: httpx2.Response(404, content=b"<html>")])
    async with service.client() as client:
        with pytest.raises(ApiError) as refused:
            await client.get(CHAT)
    assert refused.value.status == 404
