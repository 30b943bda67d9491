"""A feed as server-sent events: history, `caught_up`, then what comes, until `bye`.

Reads page after page at its client's pace and waits for a doorbell when there is none;
no queue, no connection while it waits. Blocks are what sse-starlette takes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol
from uuid import UUID

from service import wire
from service.stream.bells import Bells
from service.stream.follow import (
    AWAY_PAUSE_S,
    LIFETIME_JITTER,
    RETRY_JITTER_MS,
    RETRY_MS,
)
from service.stream.hub import AWAY
from service.stream.place import Kind, Place, format_place
from service.stream.raw import Item, StartOver

PAGE = 200
"""Rows a read: a page of typical events is 200 kB, all that a slow client costs."""

Block = dict[str, Any]


class Source(Protocol):
    """What a feed reads."""

    kind: Kind
    bell: UUID

    async def read(self, after: Place, limit: int) -> Sequence[Item]:
        """Rows after a place; none: there are no more. Raises StartOver."""
        ...


async def feed(
    source: Source, place: Place, bells: Bells, *, lifetime_s: float
) -> AsyncIterator[Block]:
    """Blocks from a place on; ends after `bye`, and only when caught up."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + lifetime_s * (1 + random.uniform(0, LIFETIME_JITTER))
    resets, caught_up = bells.resets, False
    bells.open += 1
    try:
        yield {"retry": RETRY_MS}
        while True:
            bell = bells.of(source.bell)
            if bells.resets != resets:
                yield _bye("reset")
                return
            try:
                rows = await source.read(place, PAGE)
            except StartOver as over:
                place = over.place
                yield _block(source.kind, place, "resync", {"reason": over.reason})
                continue
            except AWAY:
                if bells.ending is not None:
                    yield _bye(bells.ending)
                    return
                yield {"comment": "stale"}
                await _wait(bell, AWAY_PAUSE_S)
                continue
            for row in rows:
                place = row.place
                yield _block(source.kind, place, row.name, row.data)
            if bells.ending is not None:
                yield _bye(bells.ending)
                return
            if rows:
                continue
            if not caught_up:
                caught_up = True
                yield _control("caught_up")
            if clock() >= deadline:
                yield _bye("lifetime")
                return
            await _wait(bell, deadline - clock())
    finally:
        bells.open -= 1


async def _wait(bell: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(seconds, 0)):
            await bell.wait()
    except TimeoutError:
        pass


def _block(kind: Kind, place: Place, name: str, data: dict[str, Any] | None) -> Block:
    if data is None:
        return {"id": format_place(kind, place)}
    # the row's own type, if it has one, is what the client is to see
    text = wire.dumps({"type": name, **data}).decode()
    return {"id": format_place(kind, place), "event": name, "data": text}


def _control(name: str, **payload: Any) -> Block:
    """A frame about the connection itself; it has no id."""
    return {"event": name, "data": wire.dumps({"type": name, **payload}).decode()}


def _bye(reason: str) -> Block:
    retry = RETRY_MS if reason == "lifetime" else RETRY_MS + _jitter()
    return {**_control("bye", reason=reason), "retry": retry}


def _jitter() -> int:
    return random.randrange(RETRY_JITTER_MS)
