"""Rebuild each projection alone from position 1, over 100,000 events of whole turns.

The runner does it as in the service: page by page, effects and checkpoint in one
transaction each. Every round has read models of its own on a copy of the same log.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from projections.projection import Projection
from projections.registry import PROJECTIONS
from projections.runner import ProjectionRunner
from projections.tables import prepare
from scripts.benchmarks.bench import Bench
from scripts.benchmarks.chats import new_chat, writing
from scripts.benchmarks.events import a_turn
from scripts.benchmarks.harness import Budget, Result, median, spread
from service.db.pool import Connection, Database, connect
from service.subscription.wakeup import Wakeup

EVENTS = 100_000
TURNS = 10
"""Of a chat."""
ROUNDS = 3

BEGIN_AGAIN = """
UPDATE ops.checkpoints SET position = 0, digest = '' WHERE projection = ANY (%s)
"""
COUNT = "SELECT count(*) FROM es.events"

BUDGET = Budget(">=", 15_000)


async def run(bench: Bench) -> list[Result]:
    """Events a second of each projection, and of all together."""
    rates: dict[str, list[float]] = {}
    async with bench.server.fresh() as database:
        await _fill(database, bench.scaled(EVENTS))
        together = {"all together": list(PROJECTIONS)}
        each = {projection.name: [projection] for projection in PROJECTIONS}
        for number in range(1 if bench.quick else ROUNDS):
            for name, projections in {**each, **together}.items():
                await bench.quiet.wait()
                rate = await _rebuild(database, projections)
                rates.setdefault(name, []).append(rate)
                bench.say(f"round {number + 1}: {name}: {rate:,.0f} events/s")
    return [
        Result(
            f"rebuild of {name}",
            median(measured),
            "events/s",
            None if name == "all together" else BUDGET,
            details={"events": bench.scaled(EVENTS), **spread(measured), **bench.facts},
        )
        for name, measured in rates.items()
    ]


async def _fill(database: Database, count: int) -> None:
    """A log of chats with some turns each."""
    async with writing(database) as appender:
        made = 0
        while made < count:
            chat = await new_chat(appender)
            for _ in range(TURNS):
                await chat.append(*a_turn(chat.version + 1))
            made += chat.version


async def _rebuild(database: Database, projections: Sequence[Projection]) -> float:
    async with await connect(database, role="projector", name="bench") as connection:
        await prepare(connection, database, projections)
        await _empty(connection, projections)
        cursor = await connection.execute(COUNT)
        row = await cursor.fetchone()
        events = row[0] if row is not None else 0
        runner = ProjectionRunner(database, projections, Wakeup(), poll_interval_s=1.0)
        began = perf_counter()
        await runner.catch_up(connection)
        took = perf_counter() - began
    if runner.tally.events < events or runner.tally.parked:
        raise RuntimeError(f"not all was projected: {runner.tally}")
    return float(events / took)


async def _empty(connection: Connection, projections: Sequence[Projection]) -> None:
    for projection in projections:
        for table in projection.tables:
            await connection.execute(
                f"TRUNCATE read.{table}__v{projection.version}".encode()
            )
    await connection.execute(BEGIN_AGAIN, ([p.name for p in projections],))
