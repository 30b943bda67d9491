"""The PyPI package `eventsourcing`: its recorder for PostgreSQL, one event an insert.

It is synchronous, so writers are threads, each with a connection. It locks its table
for an insert, so more threads gain little.
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

WARM_UP_S = 0.5
SCHEMA = "rival"


def inserts_per_second(dsn: str, *, threads: int, seconds: float) -> float:
    """Events a second; blocks."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
    return _measure(dsn, threads, seconds)


def _measure(dsn: str, threads: int, seconds: float) -> float:
    where = conninfo_to_dict(dsn)
    datastore = PostgresDatastore(
        str(where["dbname"]),
        str(where["host"]),
        str(where["port"]),
        str(where["user"]),
        str(where["password"]),
        pool_size=threads,
        schema=SCHEMA,
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
