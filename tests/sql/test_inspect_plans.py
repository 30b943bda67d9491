"""What people ask reads what it is about, however long the log is.

Rows that a statement fetched are counted, not milliseconds: they are the same on every
machine. The functions pin their plans, so they are held to it on a small log too; views
are planned with the statistics of a large one.
"""

from __future__ import annotations

from uuid import UUID

import pytest

from projections.registry import PROJECTIONS
from projections.tables import make_read_models
from service.db.pool import Connection, Database
from tests.sql.batch import rows, value
from tests.sql.conftest import Open

FILL = """
INSERT INTO es.events (position, recorded_at, stream_id, version, append_last,
  schema_version, category, type, data, metadata, idempotency_key, request_hash,
  payload_hash, digest)
SELECT n + 1, now() - make_interval(secs => %(events)s - n),
  ('00000000-0000-4000-8000-' || lpad((n %% %(chats)s)::text, 12, '0'))::uuid,
  1 + n / %(chats)s, 1 + n / %(chats)s, 1, 'chat',
  CASE WHEN n < %(chats)s THEN 'chat_created' ELSE 'message_appended' END,
  jsonb_build_object('at', '2026-03-01T00:00:00.000000Z', 'role', 'user',
    'visibility', 'both', 'parts', jsonb_build_array(jsonb_build_object('type',
      'text', 'text', repeat(md5(n::text), 6)))),
  jsonb_build_object('id', gen_random_uuid(), 'actor', 'user:1'),
  'k:' || n, decode(repeat('00', 32), 'hex'), sha256('p'), sha256('d')
FROM generate_series(%(first)s::int, %(last)s::int) AS n
"""

COUNTED = """
SELECT seq_scan, coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables
WHERE relid = 'es.events'::regclass
"""

CHAT = UUID("00000000-0000-4000-8000-000000000007")

CHATS = 100
"""Each has a hundredth of the log, or a hundred events of a million."""

LENGTH = 100
"""Events of a chat."""

FUNCTIONS = [
    (f"es.chat_timeline('{CHAT}')", LENGTH),
    (f"es.state_at('{CHAT}', 50)", LENGTH),
    (f"es.chat_diff('{CHAT}', 20, 80)", LENGTH + 10),
    (f"es.verify('chat', '{CHAT}')", 2 * LENGTH),
    # the event, its stream, and a batch on either side
    ("es.explain_event(4007)", LENGTH + 1_010),
    # of each its own row, that of the version before, and once more for erased ones
    ("es.verify_positions(2001, 3000)", 3_000),
    # halving a million
    ("es.position_at(now() - interval '5 s')", 25),
    ("es.who_is_behind()", 20),
    ("ops.find_stuck_chats()", 40),
]

VIEWS = [
    ("ops.log_overview", 1),
    ("ops.event_rates", 5 * 25),
    ("ops.projection_lag", 15),
    ("ops.stuck_chats", 40),
    ("ops.lease_overview", 0),
]


async def fill(admin: Connection, database: Database, *, events: int) -> None:
    """Chats of LENGTH events, in turns; ten of them wait for a worker."""
    await make_read_models(database, PROJECTIONS)
    await admin.execute("ALTER TABLE es.events DISABLE TRIGGER _500_ring")
    chats = events // LENGTH
    for first in range(0, events, 250_000):
        last = min(first + 250_000, events) - 1
        numbers = {"events": events, "chats": chats, "first": first, "last": last}
        await admin.execute(FILL, numbers)
    await admin.execute("ALTER TABLE es.events ENABLE ALWAYS TRIGGER _500_ring")
    await admin.execute(
        "INSERT INTO read.runnable (chat_id, status, version, since)"
        " SELECT stream_id, 'running', %s, now() - interval '1 h'"
        " FROM es.events WHERE position <= 10",
        [LENGTH],
    )
    await admin.execute(
        "INSERT INTO ops.checkpoints (projection, version, position)"
        " SELECT 'p' || n, 1, 10 FROM generate_series(1, 4) AS n"
    )


async def counted(open_as: Open, source: str) -> tuple[int, int]:
    """Sequential scans of the log, and rows fetched from it, as role dba."""
    # a session of its own: counters hold what a session has not yet handed in
    dba = await open_as("dba")
    async with dba.transaction():
        await dba.execute(f"SELECT * FROM {source}".encode())  # noqa: S608
        ((scans, fetched),) = await rows(dba, COUNTED) or [(0, 0)]
    await dba.close()
    return scans, fetched


async def held(open_as: Open, questions: list[tuple[str, int]]) -> None:
    for source, most in questions:
        scans, fetched = await counted(open_as, source)
        assert scans == 0, source
        assert fetched <= most, source


async def test_functions_read_only_what_they_are_about(
    admin: Connection, database: Database, open_as: Open
) -> None:
    """Without statistics, on a log that a planner would rather scan."""
    await fill(admin, database, events=CHATS * LENGTH)
    await held(open_as, FUNCTIONS)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_nothing_grows_with_a_million_events(
    admin: Connection, database: Database, open_as: Open
) -> None:
    await fill(admin, database, events=1_000_000)
    await held(open_as, FUNCTIONS)
    await admin.execute("VACUUM ANALYZE es.events")
    await held(open_as, [*FUNCTIONS, *VIEWS])
    pages = await value(admin, "SELECT pg_relation_size('es.events__recorded_at__idx')")
    assert pages <= 128 * 1024
    await held(
        open_as,
        [
            (f"es.read_stream('chat', '{CHAT}', 0, 500)", LENGTH + 1),
            ("es.read_log(500000, 500)", 501),
            (f"es.find_request('chat', '{CHAT}', 'k:7')", 1),
        ],
    )
    dba = await open_as("dba")
    purge = "SELECT erased FROM es.purge_stream('chat', %s, 'a', 'r')"
    assert await value(dba, purge, [CHAT]) == LENGTH
