"""The HTTP API and its streams, for programs: what the command line is made of.

`follow` keeps a place in a chat: it reconnects with the id of the last frame that it
gave out, so its caller sees every frame once, whatever happens to connections. `watch`
folds the frames into a `ChatView`, and `turn_finished` waits until a chat is at rest.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

import httpx2

from service import wire
from service.client.place import Place
from service.client.shapes import (
    Chat,
    ChatRef,
    MessagePage,
    Sent,
    chat_id_of,
)
from service.client.shapes import Frame as Frame
from service.client.sse import SseParser
from service.client.view import ChatView
from service.errors import ParleyError

TIMEOUT_S = 40.0
"""Above the 30 s after which an append with unknown outcome is answered."""
SILENCE_S = 45.0
"""Three heartbeats: a stream silent for so long is dead."""
RETRIES = 4
"""Of a POST, over some three seconds: a restarted service is back by then."""

_TRANSIENT = frozenset({429, 500, 502, 503, 504})


@dataclass(eq=False)
class ApiError(ParleyError):
    """The service answered with a problem."""

    status: int
    problem: Mapping[str, Any]

    @property
    def slug(self) -> str:
        """The stable name of the problem: `chat-not-found`, ..."""
        return str(self.problem.get("type", "")).rpartition("/")[2]

    def __str__(self) -> str:
        title = self.problem.get("title", "error")
        return f"{self.status} {title}: {self.problem.get('detail', '')}"


@dataclass(eq=False)
class ConnectionFailed(ParleyError):
    """The service could not be reached, or went away in the middle."""

    reason: str

    def __str__(self) -> str:
        return self.reason


class Client:
    """One service and one token. An async context manager.

    `http` may bring its own transport (tests); it is closed with the client.
    """

    def __init__(
        self, url: str, token: str, *, http: httpx2.AsyncClient | None = None
    ) -> None:
        self._http = http or httpx2.AsyncClient(timeout=TIMEOUT_S)
        self._http.base_url = httpx2.URL(url)
        self._http.headers["authorization"] = f"Bearer {token}"

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def create(self, text: str, *, key: str | None = None, **fields: Any) -> Chat:
        """Create a chat with a first message of one text.

        `fields` are those of the API: system_prompt, labels, ...
        """
        made = await self._post("/api/v1/chats", _said(text) | fields, key)
        return cast(Chat, made)

    async def send(
        self,
        chat: ChatRef,
        text: str,
        *,
        busy_behavior: str = "queue",
        key: str | None = None,
    ) -> Sent:
        """Say something in a chat; `interrupt` stops a running turn for it."""
        body = _said(text) | {"busy_behavior": busy_behavior}
        return cast(Sent, await self._post(f"{_path(chat)}/messages", body, key))

    async def interrupt(self, chat: ChatRef, *, key: str | None = None) -> Chat:
        """Stop the running turn."""
        return cast(Chat, await self._post(f"{_path(chat)}/interrupt", {}, key))

    async def get(self, chat: ChatRef) -> Chat:
        """The chat as it is now."""
        return cast(Chat, await self._get(_path(chat)))

    async def chats(self, **query: Any) -> dict[str, Any]:
        """A page of the caller's chats."""
        return await self._get("/api/v1/chats", **query)

    async def messages(self, chat: ChatRef, **query: Any) -> MessagePage:
        """A page of a chat's messages: `limit`, `before_id` or `after_id`."""
        page = await self._get(f"{_path(chat)}/messages", **query)
        return cast(MessagePage, page)

    async def follow(
        self, chat: ChatRef, *, after: str | None = None
    ) -> AsyncGenerator[Frame, None]:
        """Every frame after this place, for ever; None begins with a snapshot.

        Reconnects, with back-off, until the service says that it is for good: raises
        ApiError for 4xx. `bye` and id-only blocks move the place and are not given out.
        """
        place = Place(after or "")
        while True:
            try:
                async with aclosing(self._connection(chat, place)) as frames:
                    async for frame in frames:
                        yield frame
            except ConnectionFailed:
                place.failures += 1
            await asyncio.sleep(place.pause_s())

    async def watch(
        self, chat: ChatRef, *, after: str | None = None
    ) -> AsyncGenerator[tuple[ChatView, Frame], None]:
        """The chat as it is after each frame: one view, which grows, and the frame."""
        view = ChatView()
        async with aclosing(self.follow(chat, after=after)) as frames:
            async for frame in frames:
                view.apply(frame)
                yield view, frame

    async def turn_finished(
        self, chat: ChatRef, *, after: str | None = None, timeout_s: float | None = None
    ) -> ChatView:
        """Wait until nothing runs and nothing waits in the queue; gives the view.

        Also when it is so already, and when the chat waits for tools of the client.
        `after="0"` reads the whole chat, so that `turns` and `messages` are complete.
        Raises TimeoutError after `timeout_s` seconds.
        """
        return await self._until(chat, _ended, after=after, timeout_s=timeout_s)

    async def shows(
        self,
        chat: ChatRef,
        done: Callable[[ChatView], object],
        *,
        after: str | None = None,
        timeout_s: float | None = None,
    ) -> ChatView:
        """Wait until the chat looks as `done` says; gives the view as it is then.

        Raises TimeoutError after `timeout_s` seconds.
        """
        return await self._until(
            chat, lambda view, _: done(view), after=after, timeout_s=timeout_s
        )

    async def _until(
        self,
        chat: ChatRef,
        done: Callable[[ChatView, Frame], object],
        *,
        after: str | None,
        timeout_s: float | None,
    ) -> ChatView:
        async with (
            asyncio.timeout(timeout_s),
            aclosing(self.watch(chat, after=after)) as watching,
        ):
            async for view, frame in watching:
                if done(view, frame):
                    return view
        raise AssertionError("a chat is followed for ever")

    async def _connection(self, chat: ChatRef, place: Place) -> AsyncGenerator[Frame]:
        headers = {"accept": "text/event-stream"}
        if place.id:
            headers["last-event-id"] = place.id
        parser = SseParser(last_id=place.id)
        timeout = httpx2.Timeout(TIMEOUT_S, read=SILENCE_S)
        try:
            async with self._http.stream(
                "GET", f"{_path(chat)}/stream", headers=headers, timeout=timeout
            ) as response:
                if response.status_code in _TRANSIENT:
                    raise ConnectionFailed(f"status {response.status_code}")
                if response.status_code != 200:
                    await response.aread()
                    raise _api_error(response)
                async for piece in response.aiter_bytes():
                    for block in parser.feed(piece):
                        if (frame := place.take(block)) is not None:
                            yield frame
        except httpx2.TransportError as error:
            raise ConnectionFailed(str(error) or type(error).__name__) from error

    async def _get(self, path: str, **query: Any) -> dict[str, Any]:
        params = {name: value for name, value in query.items() if value is not None}
        try:
            response = await self._http.get(path, params=params)
        except httpx2.TransportError as error:
            raise ConnectionFailed(str(error) or type(error).__name__) from error
        return _content(response)

    async def _post(
        self, path: str, body: dict[str, Any], key: str | None
    ) -> dict[str, Any]:
        """POST until it is answered: the key makes the repetition safe."""
        headers = {
            "content-type": "application/json",
            "idempotency-key": key or uuid4().hex,
        }
        content = wire.dumps(body)
        for attempt in range(RETRIES + 1):
            try:
                response = await self._http.post(path, content=content, headers=headers)
                if response.status_code not in _TRANSIENT - {429}:
                    return _content(response)
            except httpx2.TransportError as error:
                if attempt == RETRIES:
                    raise ConnectionFailed(
                        str(error) or type(error).__name__
                    ) from error
            if attempt < RETRIES:
                await asyncio.sleep(0.1 * 2**attempt * random.uniform(1, 1.5))
        return _content(response)


def _ended(view: ChatView, frame: Frame) -> bool:
    """Whether a turn is over, its last frame included: `turn_finished` ends one."""
    if frame.name == "status" and view.status != "requires_action":
        return False
    return view.caught_up and view.at_rest


def _path(chat: ChatRef) -> str:
    return f"/api/v1/chats/{chat_id_of(chat)}"


def _said(text: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}]}


def _content(response: httpx2.Response) -> dict[str, Any]:
    if response.is_error:
        raise _api_error(response)
    content: dict[str, Any] = wire.loads(response.content)
    return content


def _api_error(response: httpx2.Response) -> ApiError:
    try:
        problem = wire.loads(response.content)
    except ValueError:
        problem = {"title": response.reason_phrase, "detail": "not a problem document"}
    return ApiError(response.status_code, problem)
