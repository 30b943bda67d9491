"""One writer: the time of one append, against a one-row insert with fsync.

Both go through psycopg on a connection of their own, one after the other, prepared; the
row has the size of the event. Each round times the same number of both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter

import psycopg
from psycopg.types.json import Jsonb

from scripts.benchmarks.bench import Bench
from scripts.benchmarks.chats import writing
from scripts.benchmarks.events import Writer
from scripts.benchmarks.harness import (
    Budget,
    Result,
    interleave,
    median,
    percentile,
    spread,
)

APPENDS = 500
"""Of a round."""
TABLE = "CREATE TABLE public.plain (id bigserial PRIMARY KEY, data jsonb NOT NULL)"
INSERT = "INSERT INTO public.plain (data) VALUES (%s)"

BUDGET = Budget("<=", 3, "a one-row insert with fsync")


async def run(bench: Bench) -> list[Result]:
    """p50 of single appends, and its ratio to p50 of single inserts."""
    taken: list[float] = []
    async with (
        bench.server.fresh() as database,
        writing(database) as appender,
        await psycopg.AsyncConnection.connect(
            database.dsn, autocommit=True
        ) as connection,
    ):
        await connection.execute(TABLE)
        writer, rows = Writer(), Writer()

        async def append() -> None:
            result = await appender.append(writer.request())
            writer.moved(result.streams[0])

        async def insert() -> None:
            data = Jsonb(next(rows.events).data)
            await connection.execute(INSERT, (data,), prepare=True)

        async def appends() -> float:
            times = await _times(append, bench.scaled(APPENDS))
            taken.extend(times)
            return median(times)

        async def inserts() -> float:
            return median(await _times(insert, bench.scaled(APPENDS)))

        await _times(append, 20)
        measured = await interleave(
            {"append": appends, "insert": inserts},
            rounds=bench.rounds,
            before=bench.quiet.wait,
            say=bench.say,
        )
    return [
        Result(
            case="append, 1 writer, p50",
            value=median(measured["append"]),
            unit="ms",
            budget=BUDGET,
            baseline=median(measured["insert"]),
            details={
                "append_ms": spread(measured["append"]),
                "insert_ms": spread(measured["insert"]),
                "append_p99_ms": percentile(taken, 99),
                **bench.facts,
            },
        )
    ]


async def _times(once: Callable[[], Awaitable[None]], count: int) -> list[float]:
    """Milliseconds of each of `count` calls."""
    times = []
    for _ in range(count):
        began = perf_counter()
        await once()
        times.append(1_000 * (perf_counter() - began))
    return times
