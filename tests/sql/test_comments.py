"""What a DBA sees in psql: every object says what it is."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from projections.registry import PROJECTIONS
from projections.tables import make_read_models
from service.db.pool import Connection, Database, connect
from tests.sql.batch import rows

OURS = ["es", "read", "ops", "platform"]

UNCOMMENTED = {
    "schemas": """
        SELECT nspname FROM pg_namespace
        WHERE nspname = ANY (%(ours)s) AND obj_description(oid, 'pg_namespace') IS NULL
    """,
    "tables and views": """
        SELECT oid::regclass::text FROM pg_class
        WHERE relnamespace::regnamespace::text = ANY (%(ours)s)
          AND relkind IN ('r', 'v', 'm', 'p')
          AND obj_description(oid, 'pg_class') IS NULL
    """,
    "columns": """
        SELECT c.oid::regclass::text || '.' || a.attname
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace::regnamespace::text = ANY (%(ours)s)
          AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
          AND c.relname !~ 'yoyo' AND col_description(c.oid, a.attnum) IS NULL
    """,
    "functions and aggregates": """
        SELECT oid::regprocedure::text FROM pg_proc
        WHERE pronamespace::regnamespace::text = ANY (%(ours)s)
          AND obj_description(oid, 'pg_proc') IS NULL
    """,
    "triggers": """
        SELECT tgrelid::regclass::text || '.' || tgname FROM pg_trigger
        WHERE NOT tgisinternal AND obj_description(oid, 'pg_trigger') IS NULL
    """,
    "indexes without a constraint": """
        SELECT i.indexrelid::regclass::text FROM pg_index AS i
        JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE c.relnamespace::regnamespace::text = ANY (%(ours)s)
          AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)
          AND c.relnamespace <> 'read'::regnamespace
          AND obj_description(i.indexrelid, 'pg_class') IS NULL
    """,
}

MISNAMED = """
SELECT relname FROM pg_class
WHERE relnamespace::regnamespace::text = ANY (%(ours)s)
  AND relkind = 'i' AND relname !~ '__(pkey|key|idx)$' AND relname !~ 'yoyo'
UNION ALL
SELECT conname FROM pg_constraint
WHERE connamespace::regnamespace::text = ANY (%(ours)s)
  AND contype NOT IN ('n', 't') -- not null; constraint triggers, named as triggers
  AND conname !~ '__(pkey|key|check|fk)$' AND conname !~ 'yoyo'
"""


@pytest_asyncio.fixture
async def whole(database: Database) -> AsyncIterator[Connection]:
    """A connection to a database that has its read models too."""
    await make_read_models(database, PROJECTIONS)
    async with await connect(database, role=None, name="test") as connection:
        yield connection


@pytest.mark.parametrize("kind", UNCOMMENTED)
async def test_everything_is_commented(whole: Connection, kind: str) -> None:
    assert await rows(whole, UNCOMMENTED[kind], {"ours": OURS}) == []


async def test_names_follow_one_pattern(whole: Connection) -> None:
    """Constraints and indexes are named by hand: <table>__<columns>__<kind>."""
    assert await rows(whole, MISNAMED, {"ours": OURS}) == []
