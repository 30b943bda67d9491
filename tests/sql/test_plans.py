"""The hot queries go through the index made for them, with and without statistics.

The functions pin their plans; a plan is read from the statement inside the function, or
from the counters of the transaction that ran it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from uuid import UUID, uuid4

import pytest

from service.db.pool import Connection
from tests.sql.batch import Batch, append, rows, value
from tests.sql.conftest import Open

BY_VERSION = "events__stream_id__version__key"
BY_POSITION = "events__position__pkey"
BY_KEY = "events__stream_id__idempotency_key__idx"

SCANS = """
SELECT indexrelname, pg_stat_get_xact_numscans(indexrelid)
FROM pg_stat_user_indexes WHERE relid = 'es.events'::regclass
"""

TABLE = """
SELECT seq_scan, seq_tup_read, idx_tup_fetch FROM pg_stat_xact_user_tables
WHERE relid = 'es.events'::regclass
"""

SETTINGS = """
SELECT set_config(split_part(s, '=', 1), split_part(s, '=', 2), false)
FROM pg_proc, unnest(proconfig) AS s WHERE oid = %s::regproc
"""

STREAM = UUID("11111111-1111-1111-1111-111111111111")

READERS = [
    (
        "es.read_stream",
        {
            "stream_category": "'chat'",
            "stream": f"'{STREAM}'::uuid",
            "after_version": "10",
            "max_events": "500",
        },
        {BY_VERSION},
    ),
    (
        "es.read_log",
        {
            "after_position": "10::bigint",
            "max_events": "500",
            "with_data_of": "NULL::uuid[]",
        },
        {BY_POSITION},
    ),
    (
        "es.find_request",
        {
            "stream_category": "'chat'",
            "stream": f"'{STREAM}'::uuid",
            "request_key": "'k'",
        },
        {BY_KEY},
    ),
]


async def fill(service: Connection) -> None:
    """One long stream and many short ones, a key on each append."""
    await append(service, STREAM, *["a"] * 500)
    for number in range(100):
        await append(service, STREAM, "b", key=f"long:{number}")
    batch = Batch()
    for number in range(500):
        batch.add(uuid4(), "a", "b", request=number)
    await batch.append(service)


async def explain(
    connection: Connection, function: str, arguments: Mapping[str, str]
) -> str:
    """The plan of the one query in a function, under the function's own settings."""
    body = await value(
        connection, "SELECT prosrc FROM pg_proc WHERE oid = %s::regproc", [function]
    )
    query = re.sub(r"--[^\n]*", "", body).partition("RETURN QUERY")[2].partition(";")[0]
    for name, literal in arguments.items():
        query = re.sub(rf"(?<![.\w]){name}\b", literal, query)
    await connection.execute(SETTINGS, [function])
    plan = await rows(connection, f"EXPLAIN (COSTS OFF) {query}")
    return "\n".join(line for (line,) in plan)


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize(("function", "arguments", "indexes"), READERS)
async def test_reader_uses_its_index_and_sorts_nothing(
    service: Connection,
    admin: Connection,
    function: str,
    arguments: Mapping[str, str],
    indexes: set[str],
    analyzed: bool,
) -> None:
    if analyzed:
        await fill(service)
        await admin.execute("ANALYZE es.events")
    plan = await explain(service, function, arguments)
    assert set(re.findall(r"using (\w+)", plan)) == indexes
    assert "Seq Scan" not in plan
    assert "Sort" not in plan


@pytest.mark.parametrize("analyzed", [False, True])
async def test_append_looks_up_each_stream_and_key_once(
    service: Connection, admin: Connection, open_as: Open, analyzed: bool
) -> None:
    """Whatever is in the table: no scan grows with it."""
    await fill(service)
    if analyzed:
        await admin.execute("ANALYZE es.events")
    batch = Batch().add(STREAM, "c", "d")
    for number in range(9):
        batch.add(uuid4(), "a", request=2 + number)
    # a session of its own: counters hold what a session has not yet handed in
    fresh = await open_as("service")
    async with fresh.transaction():
        await batch.append(fresh)
        scans = dict(await rows(fresh, SCANS))
        table = await rows(fresh, TABLE)
    assert scans[BY_VERSION] == 10
    assert scans[BY_KEY] == 10
    assert scans[BY_POSITION] == 1
    # the last event, and the head of the one stream that exists
    assert table == [(0, 0, 2)]


async def test_time_is_found_through_its_index(
    service: Connection, admin: Connection
) -> None:
    await fill(service)
    await admin.execute("SET enable_seqscan = off")
    plan = await rows(
        admin,
        "EXPLAIN SELECT * FROM es.events WHERE recorded_at > now() - '1 h'::interval",
    )
    assert "events__recorded_at__idx" in str(plan)
