"""A notification is dear: all that one commit appends rings once."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from service import wire
from service.db.guard import Guard
from service.db.pool import Database, connect
from service.eventstore.appender import Appender
from service.eventstore.records import (
    NO_STREAM,
    AppendRequest,
    NewEvent,
    StreamAppend,
    StreamName,
)

APPENDS = 10_000


def request() -> AppendRequest:
    event = NewEvent("tested", 1, {"a": 1}, {"actor": "test"})
    stream = StreamAppend(StreamName("test", uuid4()), NO_STREAM, (event,))
    return AppendRequest((stream,), f"test:{uuid4()}", b"h" * 32)


async def test_ten_thousand_appends_ring_at_most_once_per_batch(
    database: Database, guard: Guard
) -> None:
    async with await connect(database, role="service", name="ear") as ear:
        await ear.execute("LISTEN parley_log")
        await ear.execute("LISTEN the_end")
        async with Appender(
            database, guard=guard, queue_size=APPENDS, deadline_s=60
        ) as appender:
            await asyncio.gather(*(appender.append(request()) for _ in range(APPENDS)))
            batches = appender.tally.batches
        await ear.execute("NOTIFY the_end")
        rung: list[tuple[int, int]] = []
        async for notification in ear.notifies(timeout=30):
            if notification.channel == "the_end":
                break
            payload = wire.loads(notification.payload)
            rung.append((payload["first"], payload["last"]))
    assert 0 < len(rung) <= batches < APPENDS / 10
    # together they name every position once
    assert [first for first, _ in rung] == [1, *(last + 1 for _, last in rung[:-1])]
    assert rung[-1][1] == APPENDS
