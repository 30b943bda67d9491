"""Reads of a chat's history by a worker for a turn: one, whatever the turn does.

Turns of the scripted model with a tool call, two model calls each, in many chats at
once; API and worker are processes of their own. `parley_chats_history_reads_total` of
the worker counts what it reads to fold: what it appends itself it folds as it goes.
"""

from __future__ import annotations

import asyncio
import re
import socket

from scripts.benchmarks.bench import Bench
from scripts.benchmarks.harness import Budget, Result
from scripts.benchmarks.http import poster, stream
from scripts.benchmarks.service import Service, serve
from service import wire

CHATS = 50
TURNS = 10
"""Of each chat, one after the other."""
PATIENCE_S = 120.0
HOST = "127.0.0.1"

BUDGET = Budget("<=", 1)

_READS = re.compile(rb"^parley_chats_history_reads_total (\S+)$", re.MULTILINE)


async def run(bench: Bench) -> list[Result]:
    """Reads divided by turns."""
    port = free_port()
    worker = {"PARLEY_SCRIPTED_RATE": "2000", "PARLEY_METRICS_PUBLIC": "true"}
    worker |= {"PARLEY_METRICS_PORT": str(port)}
    turns = bench.scaled(TURNS)
    async with (
        bench.server.fresh() as database,
        serve(database, roles="api,projector") as service,
        serve(database, roles="worker", settings=worker),
        asyncio.timeout(PATIENCE_S),
    ):
        before = await _reads(port)
        await asyncio.gather(*(_talk(service, turns) for _ in range(CHATS)))
        reads = await _reads(port) - before
    details = {"chats": CHATS, "turns": CHATS * turns, "reads": reads, **bench.facts}
    case = "history reads of a turn with a tool call"
    return [Result(case, reads / (CHATS * turns), "reads", BUDGET, details=details)]


async def _talk(service: Service, turns: int) -> None:
    """Create a chat and say so many things to it, each after the last turn's end."""
    said = {"content": [{"type": "text", "text": "what time is it?"}]}
    async with poster(service.address) as connection:
        status, body = await connection.send(service.post("chats", said))
        if status != 201:
            raise RuntimeError(f"create: {status} {body.decode()}")
        chat_id = wire.loads(body)["id"]
        async with stream(service.address, service.stream(chat_id, "0")) as frames:
            ended = 0
            while (blocks := await frames.read()) is not None:
                for block in blocks:
                    if block.event != "turn_finished":
                        continue
                    ended += 1
                    if ended == turns:
                        return
                    path = f"chats/{chat_id}/messages"
                    await connection.send(service.post(path, said))
    raise RuntimeError("a stream ended before its turns")


async def _reads(port: int) -> int:
    asked = f"GET /metrics HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode()
    async with poster((HOST, port)) as connection:
        status, body = await connection.send(asked)
    found = _READS.search(body)
    if status != 200 or found is None:
        raise RuntimeError(f"/metrics answered {status} without the counter")
    return int(float(found[1]))


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.create_server((HOST, 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
