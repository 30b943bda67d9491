"""The queries of readers use the index that was made for them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from projections.registry import PROJECTIONS
from projections.tables import make_read_models
from projections.watch_feed import PRUNE
from service.db.pool import Connection, Database, connect
from service.readmodels import chats, messages, queue, runnable, watch_feed
from service.readmodels.lag import LAG
from tests import builders as b

FILL = """
INSERT INTO read.chats__v1
SELECT gen_random_uuid(), %(org)s, CASE n %% 5 WHEN 0 THEN %(owner)s
    ELSE gen_random_uuid() END, 'title', 'waiting', n %% 200 = 0, 'api', '{}',
  NULL, NULL, now(), now() - make_interval(secs => n), NULL, 1
FROM generate_series(1, 5000) AS n;
INSERT INTO read.messages__v1 (chat_id, id, role, visibility, parts, created_at)
SELECT CASE m %% 2 WHEN 0 THEN %(chat)s ELSE gen_random_uuid() END, m, 'user',
  'both', '[]', now()
FROM generate_series(1, 10000) AS m;
INSERT INTO read.queue__v1
SELECT gen_random_uuid(), n, '[]', now(), %(owner)s, NULL
FROM generate_series(1, 2000) AS n;
INSERT INTO read.runnable__v1
SELECT gen_random_uuid(), 'running', 2, now() - make_interval(secs => n)
FROM generate_series(1, 2000) AS n;
INSERT INTO read.watch_feed__v1
SELECT CASE n %% 5 WHEN 0 THEN %(owner)s ELSE gen_random_uuid() END, n, 'created',
  gen_random_uuid(), 2, 'running', NULL, now(), now() - make_interval(secs => n), '00'
FROM generate_series(1, 20000) AS n;
INSERT INTO read.watch_chats__v1
SELECT chat_id, owner_id, %(org)s, 'title', 'api', '{}', NULL, NULL, now(), 'running',
  NULL, 'running', 1
FROM read.watch_feed__v1;
ANALYZE read.chats__v1, read.messages__v1, read.queue__v1, read.runnable__v1,
  read.watch_feed__v1, read.watch_chats__v1;
"""

LISTED = {
    "owner": b.OWNER,
    "archived": False,
    "updated_at": chats._START.updated_at,
    "id": chats._START.id,
    "limit": 51,
}


@pytest_asyncio.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    """Read models with enough rows that a sequential scan would cost more."""
    await make_read_models(database, PROJECTIONS)
    values = {"org": b.ORGANIZATION, "owner": b.OWNER, "chat": b.CHAT}
    async with await connect(database, role=None, name="test") as opened:
        for statement in FILL.split(";")[:-1]:
            await opened.execute(statement, values if "%" in statement else None)
        yield opened


@pytest.mark.parametrize(
    ("query", "values", "index", "condition"),
    [
        (
            chats.LIST,
            LISTED,
            "chats__v1__owner_id__archived__updated_at__id__idx",
            r"Index Cond: .*owner_id = .*ROW\(updated_at, id\) < ROW\(",
        ),
        (
            messages.NEWEST_FIRST,
            (b.CHAT, 0, 9000, 51),
            "messages__v1__chat_id__id__pkey",
            r"Index Cond: .*id < 9000\)",
        ),
        (
            messages.OLDEST_FIRST,
            (b.CHAT, 10, 2**31 - 1, 51),
            "messages__v1__chat_id__id__pkey",
            r"Index Cond: .*id > 10\)",
        ),
        (
            queue.LIST,
            (UUID(int=1),),
            "queue__v1__chat_id__id__pkey",
            r"Index Cond: \(chat_id =",
        ),
        (
            runnable.FREE,
            (30.0, 10),
            "runnable__v1__priority__since__chat_id__idx",
            "Limit",
        ),
        (
            watch_feed.READ,
            (b.OWNER, 10, 201),
            "watch_feed__v1__owner_id__number__pkey",
            r"Index Cond: .*owner_id = .*number >= '10'",
        ),
        (
            PRUNE.replace("{v}", "1"),
            ('[{"before": "2020-01-01T00:00:00Z"}]',),
            "watch_feed__v1__recorded_at__idx",
            r"Index Cond: \(recorded_at < ",
        ),
        (LAG, (), "events__position__pkey", r"Index Cond: \(.position. = "),
    ],
    ids=["chats", "newest", "oldest", "queue", "runnable", "watch", "prune", "lag"],
)
async def test_query_uses_its_index_and_sorts_nothing(
    connection: Connection, query: str, values: Any, index: str, condition: str
) -> None:
    plan = await explain(connection, query, values)
    assert index in plan
    assert re.search(condition, plan), plan
    assert not re.search(r"Seq Scan on \w+__v1", plan), plan
    assert not re.search(r"Sort Key: .*(updated_at|id|since)", plan), plan


async def explain(connection: Connection, query: str, values: Any) -> str:
    found = await connection.execute(f"EXPLAIN {query}", values)
    return "\n".join(line for (line,) in await found.fetchall())
