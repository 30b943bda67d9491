"""SSE fan-out to 1,000 followers of one stream: ours, sse-starlette, nginx with nchan.

The server has a CPU of its own, and the followers are one cheap process on another.
First events come at a steady pace, and the server's CPU time is divided by deliveries.
Then as fast as they are taken: the next event when all followers have all but the last
few, so that nobody is measured by what it puts off. Ours reads its events from
Postgres, whose CPU time is not counted, like that of the publisher; all else is.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from time import perf_counter

from scripts.benchmarks.bench import Bench
from scripts.benchmarks.crowd import Crowd, crowd
from scripts.benchmarks.fanned import FanOut, nginx_nchan, parley, sse_starlette
from scripts.benchmarks.harness import Budget, Result, left_out, median, spread
from scripts.benchmarks.processes import cpu_seconds, pin
from scripts.benchmarks.rivals import nchan

FOLLOWERS = 1_000
PACE_PER_S = 20
PACED = 200
"""Events at a steady pace: 10 s."""
FLAT_OUT = 400
IN_FLIGHT = 2
"""Events that may be on their way: hides the way to the publisher and back."""
WARM_UP = 20
ROUNDS = 3
SERVER_CPU = 0

CPU = Budget("<=", 1.5, "nginx with nchan")
RATE = Budget(">=", 40_000)

Start = Callable[[Bench], AbstractAsyncContextManager[FanOut]]
Figures = dict[str, float]


async def run(bench: Bench) -> list[Result]:
    """CPU a delivery, and deliveries a second on one CPU."""
    ways: dict[str, Start] = {"parley": parley, "sse-starlette": sse_starlette}
    absent = nchan.missing()
    if absent is None:
        ways["nchan"] = nginx_nchan
    measured: dict[str, list[Figures]] = defaultdict(list)
    for number in range(1 if bench.quick else ROUNDS):
        for name, start in ways.items():
            await bench.quiet.wait()
            figures = await _measure(bench, start)
            measured[name].append(figures)
            told = ", ".join(f"{key} {value:,.1f}" for key, value in figures.items())
            bench.say(f"round {number + 1}: {name}: {told}")
    return _results(bench, measured, absent)


async def _measure(bench: Bench, start: Start) -> Figures:
    async with start(bench) as server:
        pin(server.pids, cpu=SERVER_CPU)
        async with crowd(
            server.address, [server.request] * FOLLOWERS, ready=server.ready
        ) as followers:
            await _flat_out(server, followers, WARM_UP)
            paced = await _paced(server, followers, bench.scaled(PACED))
            count = bench.scaled(FLAT_OUT)
            cpu, began = cpu_seconds(server.pids), perf_counter()
            await _flat_out(server, followers, count)
            took = perf_counter() - began
            cpu = cpu_seconds(server.pids) - cpu
    deliveries = count * FOLLOWERS
    return {
        "cpu_us": paced,
        "flat_out_cpu_us": 1e6 * cpu / deliveries,
        "deliveries_per_s": deliveries / took,
    }


async def _paced(server: FanOut, followers: Crowd, count: int) -> float:
    """Microseconds of CPU a delivery."""
    had, cpu = followers.full, cpu_seconds(server.pids)
    began = perf_counter()
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / PACE_PER_S - perf_counter()))
        await server.publish()
    await followers.reach(had + count)
    return 1e6 * (cpu_seconds(server.pids) - cpu) / (count * FOLLOWERS)


async def _flat_out(server: FanOut, followers: Crowd, count: int) -> None:
    had = followers.full
    for number in range(1, count + 1):
        await server.publish()
        await followers.reach(had + number - IN_FLIGHT + 1)
    await followers.reach(had + count)


def _results(
    bench: Bench, measured: dict[str, list[Figures]], absent: str | None
) -> list[Result]:
    def middle(name: str, key: str) -> float:
        return median([figures[key] for figures in measured[name]])

    details = {
        "followers": FOLLOWERS,
        **{
            name: {key: spread([f[key] for f in rounds]) for key in rounds[0]}
            for name, rounds in measured.items()
        },
        **bench.facts,
    }
    ours, case = middle("parley", "cpu_us"), "fan-out to 1,000, CPU a delivery, against"
    return [
        Result(
            f"{case} sse-starlette",
            ours,
            "us",
            baseline=middle("sse-starlette", "cpu_us"),
            details=details,
        ),
        left_out(f"{case} nchan", "us", absent, CPU)
        if absent is not None
        else Result(
            f"{case} nchan",
            ours,
            "us",
            CPU,
            baseline=middle("nchan", "cpu_us"),
            details=details,
        ),
        Result(
            "fan-out to 1,000, one CPU, flat out",
            middle("parley", "deliveries_per_s"),
            "deliveries/s",
            RATE,
            details=details,
        ),
    ]
