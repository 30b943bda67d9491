"""What each method of the client asks for, and what it makes of the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx2
import pytest

from service import wire
from service.client import http as module
from service.client.client import ApiError, Client

CHAT = UUID(int=1)
PATH = f"/api/v1/chats/{CHAT}"
SAID = {"content": [{"type": "text", "text": "hi"}]}

Call = Callable[[Client], Awaitable[Any]]

CALLS: dict[str, tuple[Call, str, str, dict[str, Any] | None]] = {
    "create": (
        lambda c: c.create("hi", plan_mode="plan"),
        "POST", "/api/v1/chats", SAID | {"plan_mode": "plan"},
    ),
    "fork": (lambda c: c.fork(CHAT, version=7), "POST", f"{PATH}/fork", {"version": 7}),
    "fork_whole": (lambda c: c.fork(CHAT), "POST", f"{PATH}/fork", {}),
    "update": (
        lambda c: c.update(CHAT, title="x", pin_order=1),
        "PATCH", PATH, {"title": "x", "pin_order": 1},
    ),
    "send": (
        lambda c: c.send(CHAT, "hi", busy_behavior="interrupt"),
        "POST", f"{PATH}/messages", SAID | {"busy_behavior": "interrupt"},
    ),
    "edit": (lambda c: c.edit(CHAT, 3, "hi"), "PATCH", f"{PATH}/messages/3", SAID),
    "delete_queued": (
        lambda c: c.delete_queued(CHAT, 4), "DELETE", f"{PATH}/queue/4", None,
    ),
    "promote": (lambda c: c.promote(CHAT, 4), "POST", f"{PATH}/queue/4/promote", {}),
    "interrupt": (lambda c: c.interrupt(CHAT), "POST", f"{PATH}/interrupt", {}),
    "submit_tool_results": (
        lambda c: c.submit_tool_results(CHAT, [{"tool_call_id": "a", "output": 1}]),
        "POST", f"{PATH}/tool-results",
        {"results": [{"tool_call_id": "a", "output": 1}]},
    ),
    "read": (lambda c: c.read(CHAT, 5), "POST", f"{PATH}/read", {"message_id": 5}),
    "read_all": (lambda c: c.read(CHAT), "POST", f"{PATH}/read", {}),
    "regenerate_title": (
        lambda c: c.regenerate_title(CHAT), "POST", f"{PATH}/title/regenerate", {},
    ),
    "propose_title": (
        lambda c: c.propose_title(CHAT), "POST", f"{PATH}/title/propose", {},
    ),
    "get": (lambda c: c.get(CHAT), "GET", PATH, None),
    "get_then": (
        lambda c: c.get(CHAT, at_version=2), "GET", f"{PATH}?at_version=2", None,
    ),
    "chats": (
        lambda c: c.chats(archived=True, label=["a:b", "c:d"], cursor=None),
        "GET", "/api/v1/chats?archived=true&label=a%3Ab&label=c%3Ad", None,
    ),
    "messages": (
        lambda c: c.messages(CHAT, before_id=9), "GET", f"{PATH}/messages?before_id=9",
        None,
    ),
    "prompts": (lambda c: c.prompts(CHAT), "GET", f"{PATH}/prompts", None),
    "chat_cost": (lambda c: c.chat_cost(CHAT), "GET", f"{PATH}/cost", None),
    "cost_summary": (
        lambda c: c.cost_summary(), "GET", "/api/v1/cost/me/summary", None,
    ),
    "cost_summary_of": (
        lambda c: c.cost_summary(start=datetime(2026, 3, 1, tzinfo=UTC)), "GET",
        "/api/v1/cost/me/summary?start_date=2026-03-01T00%3A00%3A00%2B00%3A00", None,
    ),
}  # fmt: skip


class Recorder:
    """Answers everything alike, and keeps what was asked."""

    def __init__(self, *answers: httpx2.Response) -> None:
        self.answers = list(answers)
        self.asked: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        return self.answers.pop(0)

    def client(self) -> Client:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self))
        return Client("http://x", "parley_x", http=http)


def answer(content: object, status: int = 200, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, content=wire.dumps(content), headers=headers)


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []

    async def note(wait: float) -> None:
        seconds.append(wait)

    monkeypatch.setattr(module.asyncio, "sleep", note)
    return seconds


@pytest.mark.parametrize("name", CALLS)
async def test_a_method_asks_for_what_it_says(name: str) -> None:
    call, method, url, body = CALLS[name]
    recorder = Recorder(answer({"prompts": [], "title": "x"}))
    async with recorder.client() as client:
        await call(client)
    (asked,) = recorder.asked
    assert (asked.method, str(asked.url)) == (method, f"http://x{url}")
    assert (wire.loads(asked.content) if asked.content else None) == body
    assert ("idempotency-key" in asked.headers) == (method != "GET")


async def test_a_given_key_is_sent() -> None:
    recorder = Recorder(httpx2.Response(204))
    async with recorder.client() as client:
        await client.update(CHAT, key="k", title="x")
    assert recorder.asked[0].headers["idempotency-key"] == "k"


async def test_a_page_may_be_asked_to_show_a_version_at_least() -> None:
    recorder = Recorder(answer({"messages": []}))
    async with recorder.client() as client:
        await client.messages(CHAT, at_least=8)
    headers = recorder.asked[0].headers
    assert headers["parley-min-version"] == f"{CHAT}:8"
    assert headers["prefer"] == "wait"


async def test_a_cost_may_be_asked_to_count_a_version_at_least() -> None:
    recorder = Recorder(answer({"request_count": 1}))
    async with recorder.client() as client:
        await client.chat_cost(CHAT, at_least=8)
    assert recorder.asked[0].headers["parley-min-version"] == f"{CHAT}:8"


async def test_a_span_says_its_time_zone() -> None:
    async with Recorder().client() as client:
        with pytest.raises(ValueError, match="no time zone"):
            await client.cost_summary(start=datetime(2026, 3, 1))  # noqa: DTZ001


async def test_events_come_page_by_page_to_the_end() -> None:
    recorder = Recorder(
        answer({"events": [{"version": 1}, {"version": 2}], "next": "2~x"}),
        answer({"events": [{"version": 3}], "next": "3~y"}),
        answer({"events": [], "next": "3~y"}),
    )
    async with recorder.client() as client:
        versions = [event["version"] async for event in client.events(CHAT)]
    assert versions == [1, 2, 3]
    after = [request.url.params.get("after") for request in recorder.asked]
    assert after == [None, "2~x", "3~y"]


async def test_everything_that_happens_to_chats_can_be_followed() -> None:
    block = 'id: 3\nevent: created\ndata: {"kind":"created"}\n\n'
    recorder = Recorder(httpx2.Response(200, content=block.encode()))
    async with recorder.client() as client:
        async for frame in client.follow_chats():
            assert (frame.id, frame.name) == ("3", "created")
            break
    assert recorder.asked[0].url.path == "/api/v1/chats/watch"


async def test_a_rate_limit_is_waited_for_as_long_as_it_says(
    waited: list[float],
) -> None:
    limited = {"type": "/problems/rate-limited"}
    recorder = Recorder(
        answer(limited, 429, **{"retry-after": "7"}), answer({"id": str(CHAT)})
    )
    async with recorder.client() as client:
        await client.get(CHAT)
        assert client.tally.repeated == 1
    (seconds,) = waited
    assert 7 <= seconds <= 7 * 1.5


async def test_other_refusals_are_told_at_once(waited: list[float]) -> None:
    full = answer({"type": "/problems/queue-full"}, 429, **{"retry-after": "1"})
    async with Recorder(full).client() as client:
        with pytest.raises(ApiError):
            await client.send(CHAT, "hi")
    assert waited == []


async def test_a_model_that_gave_no_title_is_not_asked_again(
    waited: list[float],
) -> None:
    none = answer({"type": "/problems/no-title"}, 503, **{"retry-after": "1"})
    async with Recorder(none).client() as client:
        with pytest.raises(ApiError):
            await client.propose_title(CHAT)
    assert waited == []


async def test_what_broke_off_and_what_did_not_open_is_counted(
    waited: list[float],
) -> None:
    block = b'id: 1\nevent: status\ndata: {"version":1}\n\n'
    bye = b'event: bye\ndata: {"reason":"lifetime"}\n\n'
    recorder = Recorder(
        httpx2.Response(503),
        httpx2.Response(200, content=block),
        httpx2.Response(200, content=block + bye),
        httpx2.Response(200, content=block),
    )
    async with recorder.client() as client:
        frames = 0
        async for _ in client.follow(CHAT):
            frames += 1
            if frames == 3:
                break
        assert (client.tally.unopened, client.tally.broken) == (1, 1)
    assert len(waited) == 3
