"""What was spent is added up from the rows that it is about, however many there are."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from projections.registry import PROJECTIONS
from projections.tables import make_read_models
from projections.usage_ledger import COPIES
from service.db.pool import Connection, Database
from service.readmodels.usage import SPENT, TREE
from tests.sql.batch import rows

USERS = 100
"""Each has a hundredth of the ledger, and chats of twenty calls."""

ID = "('00000000-0000-4000-8000-' || lpad(({})::text, 12, '0'))::uuid"

FILL = f"""
INSERT INTO read.usage_ledger__v1 (position, at, user_id, organization_id, chat_id,
  root_chat_id, model_config_id, provider, model, purpose, input_tokens, cost_micros)
SELECT n, '2026-01-01T00:00:00Z'::timestamptz + make_interval(secs => n),
  {ID.format("n %% %(users)s")}, {ID.format("0")}, {ID.format("n %% %(chats)s")},
  {ID.format("n %% %(chats)s")}, {ID.format("n %% 5")}, 'openai', 'm' || n %% 5, 'turn',
  1000, CASE WHEN n %% 10 > 0 THEN n END
FROM generate_series(1, %(calls)s::int) AS n
"""  # noqa: S608

DAYS = """
SELECT date_trunc('day', at, 'UTC'), sum(cost_micros) FROM read.usage_ledger
WHERE at >= %s AND at < %s GROUP BY 1
"""

ONE = UUID("00000000-0000-4000-8000-000000000007")
BEGUN = datetime(2026, 1, 1, 1, tzinfo=UTC)
HOUR = (BEGUN, BEGUN + timedelta(hours=1))
FORK = f'[{{"chat_id": "{ONE}", "position": 900}}]'

QUESTIONS: list[tuple[str, Any, str]] = [
    (TREE, (ONE,), "usage_ledger__v1__root_chat_id__idx"),
    (SPENT, (ONE, *HOUR), "usage_ledger__v1__user_id__at__idx"),
    (COPIES.replace("{v}", "1"), (FORK,), "usage_ledger__v1__chat_id__position__idx"),
    # newer servers skip from user to user in the index of both
    (DAYS, HOUR, "usage_ledger__v1__(user_id__)?at__idx"),
]


async def fill(admin: Connection, database: Database, *, calls: int) -> None:
    await make_read_models(database, PROJECTIONS)
    await admin.execute(FILL, {"calls": calls, "users": USERS, "chats": calls // 20})
    await admin.execute("VACUUM ANALYZE read.usage_ledger__v1")
    # as on the disks of today: see test_read_plans.py
    await admin.execute("SET random_page_cost = 1.1")


async def held(admin: Connection, *, most: int) -> None:
    """Every question by its index, and no more rows than it is about."""
    for query, values, index in QUESTIONS:
        # the DELETE is rolled back
        async with admin.transaction(force_rollback=True):
            explained = f"EXPLAIN (ANALYZE, TIMING OFF) {query}"
            plan = "\n".join(row[0] for row in await rows(admin, explained, values))
        assert re.search(index, plan), plan
        assert not re.search(r"Seq Scan on usage_ledger__v1", plan), plan
        found = re.findall(r"on usage_ledger__v1.*actual.* rows=(\d+)", plan)
        assert max(map(int, found)) <= most, plan


async def test_an_hour_is_read_by_itself(admin: Connection, database: Database) -> None:
    await fill(admin, database, calls=20_000)
    await held(admin, most=3_600)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_million_calls(admin: Connection, database: Database) -> None:
    await fill(admin, database, calls=1_000_000)
    await held(admin, most=3_600)
