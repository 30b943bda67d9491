"""Raw events: GET /api/v1/chats/{id}/events, and /api/v1/events for auditors.

One page of JSON, or all of the history as lines, or history and what comes as
server-sent events, by Accept. `*/*` is a page: what somebody tries out has an end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from service import wire
from service.api.accept import EVENTS, JSON, LINES, negotiate
from service.api.context import chat_id_of, context_of, load_chat, subject_of
from service.api.freshness import version_header
from service.api.middleware import STREAMED
from service.api.perform import json_response
from service.api.query import known_only, page_limit
from service.api.stream import FeedResponse, place_text, unavailable_response
from service.auth.policy import Resource, allowed
from service.errors import DatabaseAway, Rejection
from service.eventstore.store import PAGE
from service.stream.cursor import MalformedCursor
from service.stream.hub import AWAY
from service.stream.place import START, Place, format_place, parse_place
from service.stream.raw import Raw, RawChat, RawLog, StartOver

NOW = "now"
OFFERS = (JSON, LINES, EVENTS)


async def chat_events(request: Request) -> Response:
    """200 and the events of a chat of the caller's."""
    media = negotiate(request, OFFERS)
    source = RawChat(context_of(request).pool, chat_id_of(request))
    try:
        chat_id, loaded = await load_chat(
            request, await subject_of(request), "chat.read"
        )
    except AWAY:
        return _away(media)
    about = version_header(chat_id, loaded.version)
    return await _answer(request, source, media, about)


async def log_events(request: Request) -> Response:
    """200 and the events of the whole log, for tokens with the scope audit."""
    media = negotiate(request, OFFERS)
    try:
        subject = await subject_of(request)
    except AWAY:
        return _away(media)
    if not allowed(subject, "log.read", Resource()):
        raise Rejection("forbidden", "this token may not read the log; it needs audit")
    return await _answer(request, RawLog(context_of(request).pool), media, {})


async def _answer(
    request: Request, source: Raw, media: str, about: dict[str, str]
) -> Response:
    known_only(request, "after", *(("limit",) if media == JSON else ()))
    text = place_text(request) or "0"
    try:
        place = None if text == NOW else parse_place(source.kind, text)
    except MalformedCursor as error:
        raise Rejection("invalid-cursor", str(error)) from error
    if place is None:
        place = await source.head()
    if media == EVENTS:
        context = context_of(request)
        stream = FeedResponse(source, place, context, context.feeds.bells)
        stream.headers.update(about)
        return stream
    try:
        if media == LINES:
            return await _lines(request, source, place, about)
        return await _page(request, source, place, about)
    except StartOver as over:
        raise Rejection(
            "start-over", f"{over.reason}: the log has another history than this cursor"
        ) from over


async def _page(
    request: Request, source: Raw, place: Place, about: dict[str, str]
) -> Response:
    rows = await source.read(place, page_limit(request))
    last = rows[-1].place if rows else place
    after = "0" if last == START else format_place(source.kind, last)
    return json_response(
        {"events": [row.data for row in rows], "next": after},
        more={**about, "vary": "accept, authorization"},
    )


async def _lines(
    request: Request, source: Raw, place: Place, about: dict[str, str]
) -> Response:
    """All events up to what is the newest now; the first page decides the status."""
    head = await source.head()
    first = await source.read(place, PAGE)

    async def lines() -> AsyncIterator[bytes]:
        rows = first
        while rows:
            yield b"".join(wire.dumps(row.data) + b"\n" for row in rows)
            last = rows[-1].place
            if last.number >= head.number:
                return
            rows = await source.read(last, PAGE)

    response = LinesResponse(
        lines(), send_timeout_s=context_of(request).feeds.send_timeout_s
    )
    response.headers.update(about)
    return response


class LinesResponse(StreamingResponse):
    """Newline-delimited JSON; a client that takes nothing for too long is cut."""

    def __init__(self, lines: AsyncIterator[bytes], *, send_timeout_s: float) -> None:
        headers = {"cache-control": "no-store", "vary": "accept, authorization"}
        super().__init__(lines, media_type=LINES, headers=headers)
        self._send_timeout_s = send_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the lines."""
        scope[STREAMED] = True
        await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        """Send page after page, each within the time that a client has."""

        async def send_in_time(message: MutableMapping[str, Any]) -> None:
            async with asyncio.timeout(self._send_timeout_s):
                await send(message)

        with suppress(TimeoutError):
            await super().stream_response(send_in_time)


def _away(media: str) -> Response:
    if media == EVENTS:
        return unavailable_response()
    raise DatabaseAway("the log cannot be read")
