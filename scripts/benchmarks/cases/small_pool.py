"""A request pool of 3 connections and 50 creates at the same moment: all succeed."""

from __future__ import annotations

import asyncio
from time import perf_counter

from scripts.benchmarks.bench import Bench
from scripts.benchmarks.harness import Budget, Result, percentile
from scripts.benchmarks.http import poster
from scripts.benchmarks.service import Service, serve

POOL = 3
CREATES = 50

BUDGET = Budget(">=", CREATES)


async def run(bench: Bench) -> list[Result]:
    """How many were answered 201."""
    settings = {"PARLEY_POOL_SIZE": str(POOL)}
    async with (
        bench.server.fresh() as database,
        serve(database, settings=settings) as service,
    ):
        answers = await asyncio.gather(*(_create(service, n) for n in range(CREATES)))
    created = sum(status == 201 for status, _ in answers)
    times = [1_000 * took for _, took in answers]
    details = {
        "statuses": sorted({status for status, _ in answers}),
        "p50_ms": percentile(times, 50),
        "max_ms": max(times),
        **bench.facts,
    }
    case = f"{CREATES} concurrent creates on a pool of {POOL}"
    return [Result(case, created, "created", BUDGET, details=details)]


async def _create(service: Service, number: int) -> tuple[int, float]:
    said = {"content": [{"type": "text", "text": f"count {number + 1}"}]}
    async with poster(service.address) as connection:
        began = perf_counter()
        status, _ = await connection.send(service.post("chats", said))
        return status, perf_counter() - began
