"""GET /api/v1/chats/{id}/stream, and how all streams are sent.

The only importer of sse_starlette.

The hot route keeps the library's response (headers, status) and writes ready frames
itself: one task that writes, one that waits for the client to leave. A test holds it to
the same bytes as the library's own encoding. Rare streams use the library as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.api.context import Context, chat_id_of, context_of, load_chat
from service.api.freshness import version_header
from service.api.middleware import STREAMED
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

Write = Callable[[Outlet], Awaitable[None]]


class FramesResponse(EventSourceResponse):
    """An event stream whose body is written by `write`, frame by frame."""

    def __init__(self, write: Write) -> None:
        super().__init__(_nothing(), sep="\n", ping=0)
        self._write = write
        _set_headers(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write until the stream ends or the client leaves."""
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
        writer = asyncio.create_task(self._body(send), name="stream")
        try:
            gone = asyncio.create_task(_client_left(receive), name="stream-watch")
            try:
                await asyncio.wait((writer, gone), return_when=asyncio.FIRST_COMPLETED)
            finally:
                gone.cancel()
        finally:
            if not writer.done():
                writer.cancel()
            await asyncio.wait((writer,))
        if not writer.cancelled():
            writer.result()

    async def _body(self, send: Send) -> None:
        outlet = Outlet(send)
        await outlet.write(RETRY)
        await self._write(outlet)
        await send({"type": "http.response.body", "body": b""})


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
        chat_id, loaded = await load_chat(request, subject, "chat.read")
    except AWAY:
        return unavailable_response()

    async def write(out: Outlet) -> None:
        await Follower(
            context.hub,
            context.chats,
            ChatId(chat_id),
            cursor,
            now=now,
            lifetime_s=context.stream_lifetime_s,
            out=out,
        ).run()

    response = FramesResponse(write)
    response.headers.update(version_header(chat_id, loaded.version))
    return response


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


async def _client_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _nothing() -> AsyncIterator[Any]:
    return
    yield
