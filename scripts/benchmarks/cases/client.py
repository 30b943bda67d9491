"""Frames a second that the Python client gives its caller: one long chat, many chats.

Both read history from the beginning, so that the service always has more to send. One
client in this process, one process of the service; beside it, in the same rounds, the
same streams are read from plain sockets by the client's parser, with nothing decoded:
what the service gives, and what HTTP, JSON and the client's own bookkeeping cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from time import perf_counter

from scripts.benchmarks.bench import Bench
from scripts.benchmarks.chats import Chat, new_chat, writing
from scripts.benchmarks.harness import (
    Budget,
    Result,
    Scheme,
    interleave,
    median,
    spread,
)
from scripts.benchmarks.http import stream
from scripts.benchmarks.service import Service, serve
from service.client.client import Client

LONG = 10_000
"""Messages of the long chat."""
CHATS = 50
MESSAGES = 200
"""Of each of many chats: as many frames as the long chat has."""
PATIENCE_S = 120.0

BUDGET = Budget(">=", 0.5, "the same frames from a plain socket")
"""HTTP and JSON may cost as much again as receiving and parsing, and no more."""

Read = Callable[[Chat], Awaitable[int]]


async def run(bench: Bench) -> list[Result]:
    """Frames a second, from one chat and from many at once."""
    async with bench.server.fresh() as database, writing(database) as appender:
        long = await new_chat(appender)
        await long.append_messages(bench.scaled(LONG))
        many = [await new_chat(appender) for _ in range(CHATS)]
        for chat in many:
            await chat.append_messages(bench.scaled(MESSAGES))
        async with (
            serve(database, roles="api") as service,
            Client(service.url, service.token) as client,
        ):
            ways = _ways(service, client)
            cases = {"one long chat": [long], f"{CHATS} chats at once": many}
            return [
                await _compare(bench, name, chats, ways)
                for name, chats in cases.items()
            ]


def _ways(service: Service, client: Client) -> dict[str, Read]:
    async def followed(chat: Chat) -> int:
        frames = 0
        async with aclosing(client.follow(chat.chat_id, after="0")) as following:
            async for frame in following:
                if frame.name == "caught_up":
                    break
                frames += 1
        return frames

    async def watched(chat: Chat) -> int:
        frames = 0
        async with aclosing(client.watch(chat.chat_id, after="0")) as watching:
            async for view, _ in watching:
                if view.caught_up:
                    break
                frames += 1
        return frames

    async def read(chat: Chat) -> int:
        frames = 0
        request = service.stream(chat.chat_id, "0")
        async with stream(service.address, request) as blocks:
            while (came := await blocks.read()) is not None:
                for block in came:
                    if block.event == "caught_up":
                        return frames
                    frames += block.data is not None
        raise RuntimeError("the stream ended")

    return {"follow": followed, "watch": watched, "plain socket": read}


async def _compare(
    bench: Bench, name: str, chats: Sequence[Chat], ways: dict[str, Read]
) -> Result:
    wanted = sum(chat.version for chat in chats)

    def scheme(read: Read) -> Scheme:
        async def rate() -> float:
            began = perf_counter()
            async with asyncio.timeout(PATIENCE_S):
                frames = sum(await asyncio.gather(*map(read, chats)))
            took = perf_counter() - began
            if frames < wanted:
                raise RuntimeError(f"{frames} frames of {wanted} events came")
            return frames / took

        return rate

    bench.say(name)
    measured = await interleave(
        {way: scheme(read) for way, read in ways.items()},
        rounds=bench.rounds,
        before=bench.quiet.wait,
        say=bench.say,
    )
    return Result(
        f"Python client, {name}",
        median(measured["follow"]),
        "frames/s",
        BUDGET,
        baseline=median(measured["plain socket"]),
        details={
            "frames": wanted,
            **{way: spread(rates) for way, rates in measured.items()},
            **bench.facts,
        },
    )
