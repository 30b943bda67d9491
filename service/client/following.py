"""Streams that go on: reconnect, resume after the last frame, repeat none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from service.client.http import ConnectionFailed, Http
from service.client.place import Place
from service.client.shapes import Frame
from service.client.sse import SseParser


async def follow(
    http: Http, path: str, *, after: str | None = None
) -> AsyncGenerator[Frame, None]:
    """Every frame of this stream after a place, for ever.

    Reconnects, with back-off, until the service says that it is for good: raises
    ApiError for 4xx. `bye` and id-only blocks move the place and are not given out.
    """
    place = Place(after or "")
    while True:
        try:
            async with aclosing(_connection(http, path, place)) as frames:
                async for frame in frames:
                    yield frame
        except ConnectionFailed:
            place.failures += 1
        await asyncio.sleep(place.pause_s())


async def _connection(
    http: Http, path: str, place: Place
) -> AsyncGenerator[Frame, None]:
    parser = SseParser(last_id=place.id)
    async with http.stream(path, last_id=place.id) as response:
        ended = False
        try:
            async for piece in response.aiter_bytes():
                for block in parser.feed(piece):
                    ended = block.event == "bye"
                    if (frame := place.take(block)) is not None:
                        yield frame
            http.tally.broken += not ended
        except Exception:
            http.tally.broken += 1
            raise
