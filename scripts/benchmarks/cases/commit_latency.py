"""From a commit to its SSE frame at a client, at a service that has nothing else to do.

The clock starts when the append is called, in this process, so the commit itself (with
fsync) is in the figure; it stops when the frame has been read from the socket and
parsed, in this process too. The way between: trigger, NOTIFY, listener, tail, hub,
uvicorn. `after_commit_ms` counts from the moment at which the append had returned.
"""

from __future__ import annotations

import asyncio
from time import perf_counter

from scripts.benchmarks.bench import Bench
from scripts.benchmarks.chats import Chat, new_chat, writing
from scripts.benchmarks.events import assistant_message
from scripts.benchmarks.harness import Budget, Result, median, percentile
from scripts.benchmarks.http import Stream, stream
from scripts.benchmarks.service import serve

COMMITS = 1_000
PAUSE_S = 0.01
"""Between two commits: the service is idle again when the next one comes."""
WARM_UP = 50
FRAME_S = 10.0

P50 = Budget("<=", 5)
P99 = Budget("<=", 25)


async def run(bench: Bench) -> list[Result]:
    """p50 and p99 over single commits."""
    async with (
        bench.server.fresh() as database,
        serve(database) as service,
        writing(database) as appender,
    ):
        chat = await new_chat(appender)
        request = service.stream(chat.chat_id)
        async with stream(service.address, request) as frames:
            await frames.until("caught_up")
            await bench.quiet.wait()
            for _ in range(WARM_UP):
                await _one(chat, frames)
            measured = [await _one(chat, frames) for _ in range(bench.scaled(COMMITS))]
    return _results(bench, measured)


async def _one(chat: Chat, frames: Stream) -> tuple[float, float, float]:
    """Seconds at which the append was called, had returned, the frame was there."""
    await asyncio.sleep(PAUSE_S)
    arrival = asyncio.create_task(_arrival(frames))
    await asyncio.sleep(0)
    called = perf_counter()
    await chat.append(assistant_message())
    returned = perf_counter()
    return called, returned, await arrival


async def _arrival(frames: Stream) -> float:
    async with asyncio.timeout(FRAME_S):
        while (blocks := await frames.read()) is not None:
            now = perf_counter()
            if any(block.event == "message" for block in blocks):
                return now
    raise RuntimeError("the stream ended")


def _results(bench: Bench, measured: list[tuple[float, float, float]]) -> list[Result]:
    whole = [1_000 * (frame - called) for called, _, frame in measured]
    after = [1_000 * (frame - returned) for _, returned, frame in measured]
    appends = [1_000 * (returned - called) for called, returned, _ in measured]
    details = {
        "commits": len(measured),
        "append_p50_ms": median(appends),
        "after_commit_ms": {"p50": median(after), "p99": percentile(after, 99)},
        "max_ms": max(whole),
        **bench.facts,
    }
    name = "commit to SSE frame, idle service"
    return [
        Result(f"{name}, p50", median(whole), "ms", P50, details=details),
        Result(f"{name}, p99", percentile(whole, 99), "ms", P99, details=details),
    ]
