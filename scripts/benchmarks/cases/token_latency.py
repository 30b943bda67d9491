"""From a provider's token to a client's SSE frame, with 50 chats streaming at once.

The service is whole: API, worker, projector in one process. Its provider stamps every
token with the monotonic clock when it gives it out; this process follows each chat over
HTTP and reads the same clock when it has read the frame. What lies between: worker,
flusher, es.live_parts, NOTIFY, listener, tail, hub, uvicorn. Only tokens from the time
in which all chats were streaming count.
"""

from __future__ import annotations

import asyncio
import time
from uuid import UUID

from scripts.benchmarks.bench import Bench
from scripts.benchmarks.harness import Budget, Result, percentile
from scripts.benchmarks.http import poster, stream
from scripts.benchmarks.processes import cpu_seconds
from scripts.benchmarks.service import Service, serve
from scripts.benchmarks.stamped import PROGRAM, readings
from service import wire

CHATS = 50
RATE = 50
"""Parts a second and chat."""
TOKENS = 1_000
"""Of a chat: 20 s."""
PATIENCE_S = 60.0

P50 = Budget("<=", 15)
P99 = Budget("<=", 100)

Token = tuple[int, int]
"""Nanoseconds at which a token was given out, and had arrived."""


async def run(bench: Bench) -> list[Result]:
    """p50 and p99 over all tokens of the steady time."""
    settings = {"PARLEY_SCRIPTED_RATE": str(RATE)}
    tokens = TOKENS // 4 if bench.quick else TOKENS
    async with (
        bench.server.fresh() as database,
        serve(database, settings=settings, program=PROGRAM) as service,
    ):
        await bench.quiet.wait()
        cpu, began = cpu_seconds(service.pids), time.monotonic()
        async with asyncio.timeout(PATIENCE_S + tokens / RATE):
            chats = await asyncio.gather(
                *(_one(service, number, tokens) for number in range(CHATS))
            )
        cpu = (cpu_seconds(service.pids) - cpu) / (time.monotonic() - began)
    return _results(bench, chats, cpu)


async def _one(service: Service, number: int, tokens: int) -> list[Token]:
    """Create a chat that counts, follow it to the end of its turn."""
    said = {"content": [{"type": "text", "text": f"count {tokens}"}]}
    async with poster(service.address) as connection:
        status, body = await connection.send(service.post("chats", said))
    if status != 201:
        raise RuntimeError(f"create {number}: {status} {body.decode()}")
    chat_id = UUID(wire.loads(body)["id"])
    found: dict[int, int] = {}
    async with stream(service.address, service.stream(chat_id, "0")) as frames:
        while (blocks := await frames.read()) is not None:
            now = time.monotonic_ns()
            for block in blocks:
                if block.event in ("message_part", "message"):
                    # the last tokens may come with the committed message
                    for at in readings(block.data or ""):
                        found.setdefault(at, now)
                elif block.event == "turn_finished":
                    return _complete(found, tokens)
    raise RuntimeError("a stream ended before its turn")


def _complete(found: dict[int, int], tokens: int) -> list[Token]:
    if len(found) != tokens:
        raise RuntimeError(f"{len(found)} of {tokens} tokens came")
    return list(found.items())


def _results(bench: Bench, chats: list[list[Token]], cpu: float) -> list[Result]:
    start = max(min(at for at, _ in chat) for chat in chats)
    end = min(max(at for at, _ in chat) for chat in chats)
    steady = [
        (now - at) / 1e6 for chat in chats for at, now in chat if start <= at <= end
    ]
    details = {
        "chats": CHATS,
        "tokens": len(steady),
        "tokens_per_s": len(steady) / ((end - start) / 1e9),
        "p90_ms": percentile(steady, 90),
        "max_ms": max(steady),
        "service_cpus": cpu,
        **bench.facts,
    }
    name = f"token to SSE client, {CHATS} chats at {RATE} parts/s"
    return [
        Result(f"{name}, p{p}", percentile(steady, p), "ms", budget, details=details)
        for p, budget in ((50, P50), (99, P99))
    ]
