"""Appends by 1, 64 and 1,000 concurrent writers, against three other ways to store.

All begin with the same encoded chat events, one event a request, on fresh databases:
the appender; one transaction per event on a pool of 16; COPY of the very rows that the
appender wrote, into a table of the same shape; the package `eventsourcing`, one event
an insert.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from time import perf_counter

import psycopg
from psycopg_pool import AsyncConnectionPool

from scripts.benchmarks.bench import Bench
from scripts.benchmarks.events import Writer
from scripts.benchmarks.harness import (
    Budget,
    Result,
    Scheme,
    interleave,
    median,
    spread,
)
from scripts.benchmarks.rivals.eventsourcing import inserts_per_second
from service.db.guard import Guard
from service.db.pool import Connection, Database, configure
from service.eventstore import store
from service.eventstore.appender import Appender

WARM_UP_S = 0.5
THREADS = 4
"""Of eventsourcing, beside one: it is at its best with a few (for information)."""
POOL = 16
"""Connections of the one-transaction-per-event scheme."""

WRITERS = (64, 1_000, 1)
"""64 first: the budgets are for it, and the machine is fresh."""

SAME_SHAPE = "CREATE TABLE es.copied (LIKE es.events INCLUDING ALL)"
COPY_OUT = "COPY es.events TO STDOUT (FORMAT binary)"
COPY_IN = "COPY es.copied FROM STDIN (FORMAT binary)"

BUDGETS = {
    "one transaction per event": Budget(">=", 6, "one transaction per event"),
    "COPY of the same rows": Budget(">=", 0.1, "COPY of the same rows"),
    "eventsourcing": Budget(">=", 20, "eventsourcing, single inserts"),
}
"""For 64 writers; the other numbers of writers are for information."""

Append = Callable[[Writer], Awaitable[None]]


@dataclass(slots=True)
class _Case:
    bench: Bench
    writers: int
    copied: list[float] = field(default_factory=list)
    """COPY's rate of each round, with the rows of that round's appends."""

    async def appender(self) -> float:
        async with (
            self.bench.server.fresh() as database,
            Appender(
                database, guard=Guard("raise"), queue_size=10_000, deadline_s=30.0
            ) as appender,
        ):

            async def append(writer: Writer) -> None:
                result = await appender.append(writer.request())
                writer.moved(result.streams[0])

            rate = await self._rate(append)
            self.copied.append(await copy_rate(self.bench, database))
        return rate

    async def one_transaction_each(self) -> float:
        async with (
            self.bench.server.fresh() as database,
            AsyncConnectionPool[Connection](
                database.dsn,
                min_size=POOL,
                max_size=POOL,
                open=False,
                configure=lambda c: configure(c, database, "service"),
                kwargs={"autocommit": True},
            ) as pool,
        ):
            await pool.wait()
            await _warm(pool)

            async def append(writer: Writer) -> None:
                request = writer.request()
                async with pool.connection() as connection:
                    outcome = (await store.append(connection, [request]))[0]
                writer.moved(outcome.streams[0])

            return await self._rate(append)

    async def eventsourcing(self, threads: int = 1) -> float:
        async with self.bench.server.fresh() as database:
            return await asyncio.to_thread(
                inserts_per_second,
                database.dsn,
                threads=threads,
                seconds=self.bench.seconds,
            )

    async def eventsourcing_threads(self) -> float:
        return await self.eventsourcing(THREADS)

    async def _rate(self, append: Append) -> float:
        """Events a second, counted between a warm-up and the end."""
        warm = perf_counter() + WARM_UP_S
        end = warm + self.bench.seconds
        counted = 0

        async def write(writer: Writer) -> None:
            nonlocal counted
            while (now := perf_counter()) < end:
                await append(writer)
                if now >= warm:
                    counted += 1

        async with asyncio.TaskGroup() as tasks:
            for _ in range(self.writers):
                tasks.create_task(write(Writer()))
        return counted / (perf_counter() - warm)


async def _warm(pool: AsyncConnectionPool[Connection]) -> None:
    """Let every connection plan the statement, which takes as long as many appends."""
    async with AsyncExitStack() as stack:
        for _ in range(POOL):
            connection = await stack.enter_async_context(pool.connection())
            await store.append(connection, [Writer().request()])


async def copy_rate(bench: Bench, database: Database) -> float:
    """Rows a second of one COPY of all events into the same shape, committed."""
    async with await psycopg.AsyncConnection.connect(
        database.dsn, autocommit=True
    ) as connection:
        await connection.execute(SAME_SHAPE)
        cursor = connection.cursor()
        async with cursor.copy(COPY_OUT) as out:
            rows = [bytes(piece) async for piece in out]
        data = b"".join(rows)
        began = perf_counter()
        async with cursor.copy(COPY_IN) as into:
            await into.write(data)
        return cursor.rowcount / (perf_counter() - began)


async def run(bench: Bench) -> list[Result]:
    """One result per number of writers and thing that it is held against."""
    results: list[Result] = []
    for writers in WRITERS:
        case = _Case(bench, writers)
        schemes: dict[str, Scheme] = {
            "appender": case.appender,
            "one transaction per event": case.one_transaction_each,
            "eventsourcing": case.eventsourcing,
        }
        if writers > 1:
            schemes[f"eventsourcing, {THREADS} threads"] = case.eventsourcing_threads
        bench.say(f"{writers} writers")
        measured = await interleave(
            schemes, rounds=bench.rounds, before=bench.quiet.wait, say=bench.say
        )
        measured["COPY of the same rows"] = case.copied
        results += _results(bench, writers, measured)
    return results


def _results(
    bench: Bench, writers: int, measured: dict[str, list[float]]
) -> list[Result]:
    value = median(measured["appender"])
    return [
        Result(
            case=f"append, {writers} writers, against {against}",
            value=value,
            unit="events/s",
            budget=BUDGETS[against] if writers == 64 else None,
            baseline=median(measured[against]),
            details={
                **{name: spread(rates) for name, rates in measured.items()},
                **bench.facts,
            },
        )
        for against in BUDGETS
    ]
