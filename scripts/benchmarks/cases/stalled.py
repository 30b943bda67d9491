"""One follower that stops reading while 50,000 events go by, beside one that reads.

How much the service's memory grows meanwhile; then the stalled one reads on (or comes
back with its last id, when it was cut), and must have every version once, in order.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

from scripts.benchmarks.bench import Bench
from scripts.benchmarks.chats import Chat, new_chat, writing
from scripts.benchmarks.harness import Budget, Result
from scripts.benchmarks.http import Stream, stream
from scripts.benchmarks.processes import rss_bytes
from scripts.benchmarks.service import Service, serve
from service import wire

EVENTS = 50_000
WARM_UP = 10_000
"""Rings are full by then, and pages have been as large as they get: the allocator keeps
3 MiB for them whether anybody stalls or not, and it takes some thousand events."""
RECEIVE_BUFFER = 4_096
"""Bytes that the kernel takes for the stalled one; its sender's side adds megabytes."""
PATIENCE_S = 300.0

BUDGET = Budget("<=", 5)


@dataclass(slots=True)
class Seen:
    """The versions of message frames that a follower got, in their order."""

    versions: list[int] = field(default_factory=list)
    last_id: str = ""
    connections: int = 1

    async def read(self, frames: Stream, until: int) -> bool:
        """Read up to a version; False when the stream ended before it."""
        while not self.versions or self.versions[-1] < until:
            blocks = await frames.read()
            if blocks is None:
                return False
            for block in blocks:
                self.last_id = block.id
                if block.event == "message":
                    self.versions.append(wire.loads(block.data or "")["version"])
        return True


async def run(bench: Bench) -> list[Result]:
    """MiB of growth; the details say what became of the follower."""
    count = bench.scaled(EVENTS)
    async with (
        asyncio.timeout(PATIENCE_S),
        bench.server.fresh() as database,
        serve(database, roles="api") as service,
        writing(database) as appender,
    ):
        chat = await new_chat(appender)
        reading, stalled = Seen(), Seen()
        request = service.stream(chat.chat_id, "now")
        async with (
            stream(service.address, request) as live,
            stream(service.address, request, receive_buffer=RECEIVE_BUFFER) as slow,
        ):
            await live.until("caught_up")
            await slow.until("caught_up")
            await _append(chat, WARM_UP, (reading, live), (stalled, slow))
            before = rss_bytes(service.pids)
            await _append(chat, count, (reading, live))
            after = rss_bytes(service.pids)
            caught_up = await stalled.read(slow, chat.version)
        if not caught_up:
            await _resume(service, chat.chat_id, stalled, chat.version)
    return [_result(bench, count, (after - before) / 2**20, reading, stalled)]


async def _append(chat: Chat, count: int, *readers: tuple[Seen, Stream]) -> None:
    """Append while these read, until they have everything."""
    until = chat.version + count
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(chat.append_messages(count))
        for seen, frames in readers:
            tasks.create_task(seen.read(frames, until))


async def _resume(service: Service, chat_id: UUID, seen: Seen, until: int) -> None:
    """Come back after the cut, as often as it takes."""
    done = False
    while not done:
        seen.connections += 1
        request = service.stream(chat_id, seen.last_id.replace("+", "%2B"))
        async with stream(service.address, request) as frames:
            done = await seen.read(frames, until)


def _result(
    bench: Bench, count: int, grown: float, reading: Seen, stalled: Seen
) -> Result:
    whole = list(range(2, 2 + WARM_UP + count))
    if reading.versions != whole or stalled.versions != whole:
        raise RuntimeError("a follower lost or repeated an event")
    return Result(
        f"one stalled follower, {count:,} events: growth of the service",
        grown,
        "MiB",
        BUDGET,
        details={
            "follower": "caught up" if stalled.connections == 1 else "cut, came back",
            "connections": stalled.connections,
            "lost": 0,
            "repeated": 0,
            **bench.facts,
        },
    )
