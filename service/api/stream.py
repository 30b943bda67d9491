"""GET /api/v1/chats/{id}/stream, and how all streams are sent.

The only importer of sse_starlette.

The hot route keeps the library's headers and writes ready frames itself, in the task
of the request; our server tells it when the client leaves. A test holds it to the same
bytes as the library's own encoding. Rare streams use the library as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.api.context import (
    Context,
    chat_id_of,
    context_of,
    known_chat,
    load_chat,
)
from service.api.freshness import version_header
from service.api.middleware import BODY, STREAMED
from service.api.protocol import CLIENT, Client
from service.api.query import known_only
from service.api.tickets import TICKET, follower_of
from service.domain.ids import ChatId
from service.errors import Rejection
from service.stream.bells import Bells
from service.stream.cursor import Cursor, MalformedCursor, parse_cursor
from service.stream.feed import Source, feed
from service.stream.follow import Follower, unavailable
from service.stream.hub import AWAY
from service.stream.outlet import Outlet
from service.stream.place import Place

RETRY = b"retry: 1000\n\n"
NOW = "now"

NO_HEADERS: Mapping[str, str] = {}

Write = Callable[[Outlet], Awaitable[None]]


class FramesResponse(Response):
    """An event stream whose body is written by `write`, frame by frame."""

    def __init__(
        self, write: Write, *, headers: Mapping[str, str] = NO_HEADERS
    ) -> None:
        self.status_code = 200
        self.background = None
        self.raw_headers = [
            *FRAMES_HEADERS,
            *((name.lower().encode(), v.encode()) for name, v in headers.items()),
        ]
        self._write = write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers; the body follows, from the list BODY when there is one."""
        scope[STREAMED] = True
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        body = partial(_body, self._write, scope.get(CLIENT))
        if BODY in scope:
            scope[BODY].append(body)
        else:
            await body(receive, send)


class FeedResponse(EventSourceResponse):
    """A rare stream, from a generator of blocks: the library's response."""

    def __init__(
        self, source: Source, place: Place, context: Context, bells: Bells
    ) -> None:
        feeds = context.feeds
        super().__init__(
            feed(source, place, bells, lifetime_s=context.stream_lifetime_s),
            sep="\n",
            ping=feeds.heartbeat_s,
            ping_message_factory=lambda: ServerSentEvent(
                comment="stale" if context.hub.stale else "hb", sep="\n"
            ),
            send_timeout=feeds.send_timeout_s,
        )
        _set_headers(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send blocks until the feed ends or the client leaves, or takes nothing."""
        scope[STREAMED] = True
        with suppress(SendTimeoutError):
            await super().__call__(scope, receive, send)


def unavailable_response() -> Response:
    """The stream of a client that nobody can authenticate now: it comes back."""
    return FramesResponse(lambda out: out.write(unavailable(None)))


def place_text(request: Request) -> str | None:
    """Where the client says that it is; the header wins over the query."""
    text = request.headers.get("last-event-id") or request.query_params.get("after")
    return text or None


async def follow_chat(request: Request) -> Response:
    """200 and the chat's frames, from the cursor on. 400, 401 and 404 are for good."""
    known_only(request, "after", TICKET)
    context = context_of(request)
    now, cursor = _place(request)
    if context.hub.stale:
        # known before a connection was waited for; nobody could be authenticated
        return unavailable_response()
    try:
        subject = await follower_of(request, chat_id_of(request))
        # owners stay: one that is known here need not wait for its turn to be read
        found = known_chat(request, subject)
        if found is None:
            async with context.hub.catchup.turn:
                if context.hub.stale:
                    return unavailable_response()
                found = await load_chat(request, subject, "chat.read")
        chat_id, loaded = found
    except AWAY:
        return unavailable_response()

    def write(out: Outlet) -> Awaitable[None]:
        # the follower's own coroutine: one round it would be one more for each stream
        return Follower(
            context.hub,
            context.chats,
            ChatId(chat_id),
            cursor,
            now=now,
            lifetime_s=context.stream_lifetime_s,
            out=out,
        ).run()

    return FramesResponse(write, headers=version_header(chat_id, loaded.version))


def _place(request: Request) -> tuple[bool, Cursor | None]:
    """Whether to begin at the tail, and the cursor."""
    text = place_text(request)
    if text is None:
        return False, None
    if text == NOW:
        return True, None
    try:
        return False, parse_cursor(text)
    except MalformedCursor as error:
        raise Rejection("invalid-cursor", str(error)) from error


def _set_headers(response: Response) -> None:
    del response.headers["connection"]  # not allowed in HTTP/2, and of no use
    response.headers["cache-control"] = "no-store, no-transform"
    response.headers["x-content-type-options"] = "nosniff"
    response.headers["vary"] = "accept, authorization, last-event-id"


async def _body(
    write: Write, client: Client | None, receive: Receive, send: Send
) -> None:
    """Write until the stream ends, or the client leaves or is cut."""
    outlet = Outlet(send, client)
    stop = _end_when_left(outlet, client, receive)
    try:
        await outlet.write(RETRY)
        written = write(outlet)
        del write, receive  # what they hold would stay as long as the stream
        await written
        await send({"type": "http.response.body", "body": b""})
    except asyncio.CancelledError:
        if not outlet.cut:
            raise
        outlet.uncancel()
    finally:
        stop()


def _end_when_left(
    outlet: Outlet, client: Client | None, receive: Receive
) -> Callable[[], object]:
    """End the stream when its client leaves; the answer stops looking."""
    if client is not None:
        client.tell(outlet.end)
        return client.tell_nobody
    # another server than ours: it says so to who asks, and asking takes a task
    return asyncio.create_task(_look(receive, outlet), name="stream-watch").cancel


async def _look(receive: Receive, outlet: Outlet) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    outlet.end()


async def _nothing() -> AsyncIterator[Any]:
    return
    yield


def _frames_headers() -> list[tuple[bytes, bytes]]:
    response = EventSourceResponse(_nothing(), sep="\n", ping=0)
    _set_headers(response)
    return list(response.raw_headers)


FRAMES_HEADERS = _frames_headers()
"""The library's headers and ours, the same for every stream of frames."""
