"""The PyPI package `eventsourcing`: its recorder for PostgreSQL, one event an insert.

It is synchronous, so writers are threads. More threads than a few make it slower, for
it locks its table; what counts is the better of one thread and four.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from uuid import uuid4

import psycopg
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg.conninfo import conninfo_to_dict

from scripts.benchmarks.events import encoded_turns
from service import wire

THREADS = 4
WARM_UP_S = 0.5


def inserts_per_second(dsn: str, *, writers: int, seconds: float) -> float:
    """Events a second; blocks."""
    most = [1] if writers == 1 else [1, THREADS]
    with psycopg.connect(dsn, autocommit=True) as connection:
        for threads in most:
            connection.execute(f"CREATE SCHEMA rival_{threads}")
    return max(_measure(dsn, threads, seconds) for threads in most)


def _measure(dsn: str, threads: int, seconds: float) -> float:
    where = conninfo_to_dict(dsn)
    datastore = PostgresDatastore(
        str(where["dbname"]),
        str(where["host"]),
        str(where["port"]),
        str(where["user"]),
        str(where["password"]),
        pool_size=threads,
        schema=f"rival_{threads}",
    )
    try:
        recorder = PostgresApplicationRecorder(datastore)
        recorder.create_table()
        began = time.perf_counter()
        warm = began + WARM_UP_S
        end = warm + seconds
        with ThreadPoolExecutor(threads) as pool:
            counted = list(
                pool.map(
                    _write, [recorder] * threads, [warm] * threads, [end] * threads
                )
            )
        return sum(counted) / (time.perf_counter() - warm)
    finally:
        datastore.close()


def _write(recorder: PostgresApplicationRecorder, warm: float, end: float) -> int:
    stream, events, counted = uuid4(), encoded_turns(), 0
    for version in count(1):
        now = time.perf_counter()
        if now >= end:
            return counted
        event = next(events)
        state = wire.dumps({"data": event.data, "metadata": event.metadata})
        recorder.insert_events([StoredEvent(stream, version, event.type, state)])
        counted += now >= warm
    return counted
