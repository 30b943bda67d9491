"""The heartbeat of a worker that runs 10,000 chats: one statement for all leases.

No budget in time but the one that follows: it must be far below the interval.
"""

from __future__ import annotations

from time import perf_counter
from uuid import uuid4

from scripts.benchmarks.bench import Bench
from scripts.benchmarks.harness import Budget, Result, median, percentile
from service.db.pool import Database, connect
from service.lease import Lease, Leases

LEASES = 10_000
LEASE_S = 30.0
INTERVAL_MS = 10_000
"""Between two heartbeats by default."""
BEATS = 50

TAKE = """
INSERT INTO ops.leases (chat_id, worker, term)
SELECT u.id, %s, 1 FROM unnest(%s::uuid[]) AS u (id)
"""

STATEMENTS = """
SELECT n_tup_upd, n_live_tup FROM pg_stat_user_tables
WHERE schemaname = 'ops' AND relname = 'leases'
"""

BUDGET = Budget("<=", INTERVAL_MS / 10)
"""A tenth of the interval: the database has other work as well."""


async def run(bench: Bench) -> list[Result]:
    """Median milliseconds of a heartbeat, with the way there and back."""
    async with bench.server.fresh() as database:
        leases = await _taken(database)
        await bench.quiet.wait()
        times = []
        async with Leases(database, worker="bench", lease_s=LEASE_S) as mine:
            for _ in range(bench.scaled(BEATS)):
                began = perf_counter()
                if await mine.renew(leases):
                    raise RuntimeError("leases were lost")
                times.append(1_000 * (perf_counter() - began))
    details = {"statements_a_beat": 1, "p99_ms": percentile(times, 99), **bench.facts}
    case = f"heartbeat of {LEASES:,} running chats"
    return [Result(case, median(times), "ms", BUDGET, details=details)]


async def _taken(database: Database) -> list[Lease]:
    chats = [uuid4() for _ in range(LEASES)]
    async with await connect(database, role="service", name="bench") as connection:
        await connection.execute(TAKE, ("bench", chats))
    return [Lease(chat, "bench", 1, 0.0) for chat in chats]
