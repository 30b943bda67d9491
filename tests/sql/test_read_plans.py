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
from projections.watch_statements import PRUNE
from service.db.pool import Connection, Database, connect
from service.readmodels import chats, messages, queue, runnable, watch_feed
from service.readmodels.lag import LAG
from tests import builders as b

FILL = """
INSERT INTO read.chats__v1
SELECT gen_random_uuid(), %(org)s, CASE n %% 5 WHEN 0 THEN %(owner)s
    ELSE gen_random_uuid() END, 'title', CASE n %% 50 WHEN 0 THEN 'running'
    ELSE 'waiting' END, n %% 200 = 0, 'api',
  CASE n %% 500 WHEN 0 THEN '{"team": "a"}'::jsonb ELSE '{}' END,
  NULL, CASE n %% 100 WHEN 5 THEN %(chat)s END, now(),
  now() - make_interval(secs => n), NULL, 1, '', NULL, NULL, '[]',
  CASE n %% 250 WHEN 10 THEN 'm' || n END, NULL
FROM generate_series(1, {chats}) AS n;
INSERT INTO read.cursors__v1
SELECT id, 0, CASE WHEN random() < 0.1 THEN 3 END, 3 FROM read.chats__v1;
INSERT INTO read.search__v1
SELECT id, n, n, to_tsvector('simple', 'word' || (random() * 10000)::int)
FROM read.chats__v1, generate_series(0, 2) AS n;
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
ANALYZE read.chats__v1, read.cursors__v1, read.search__v1, read.messages__v1,
  read.queue__v1, read.runnable__v1, read.watch_feed__v1, read.watch_chats__v1;
"""

FILTERS = {
    "all": chats.EVERYTHING,
    "archived": chats.ChatFilters(archived=True),
    "labels": chats.ChatFilters(labels={"team": "a"}),
    "unread": chats.ChatFilters(has_unread=True),
    "title": chats.ChatFilters(title="it"),
    "search": chats.ChatFilters(search="word17"),
}


def list_values(filters: chats.ChatFilters) -> dict[str, Any]:
    """What a page in the middle of a list asks for."""
    place = {"updated_at": b.NOW.replace(year=2100), "id": b.CHAT, "pin_key": "m1"}
    return {"owner": b.OWNER, "limit": 51} | place | filters.values()


@pytest_asyncio.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    """Read models with enough rows that a sequential scan would cost more."""
    await make_read_models(database, PROJECTIONS)
    values = {"org": b.ORGANIZATION, "owner": b.OWNER, "chat": b.CHAT}
    async with await connect(database, role=None, name="test") as opened:
        for statement in FILL.split(";")[:-1]:
            text = statement.replace("{chats}", "5000")
            await opened.execute(text, values if "%" in text else None)
        yield opened


@pytest.mark.parametrize(
    ("query", "values", "index", "condition"),
    [
        (
            chats.LISTED.format(filters=""),
            list_values(chats.EVERYTHING),
            "chats__v1__roots__owner_id__archived__updated_at__id__idx",
            r"Index Cond: .*owner_id = .*ROW\(.*updated_at, .*id\) < ROW\(",
        ),
        (
            chats.PINS,
            (b.OWNER,),
            "chats__v1__pins__owner_id__pin_key__id__idx",
            r"Index Cond: .*owner_id = ",
        ),
        (
            chats.RUNNING,
            (b.OWNER,),
            "chats__v1__running__owner_id__idx",
            r"Index Cond: .*owner_id = ",
        ),
        (
            messages.PROMPTS,
            (b.CHAT, 500),
            "messages__v1__prompts__chat_id__id__idx",
            r"Index Cond: \(.*chat_id =",
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
            "queue__v1__chat_id__moved__id__idx",
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
    ids=[
        "chats",
        "pins",
        "capped",
        "prompts",
        "newest",
        "oldest",
        "queue",
        "runnable",
        "watch",
        "prune",
        "lag",
    ],
)
async def test_query_uses_its_index_and_sorts_nothing(
    connection: Connection, query: str, values: Any, index: str, condition: str
) -> None:
    plan = await explain(connection, query, values)
    assert index in plan
    assert re.search(condition, plan), plan
    assert not re.search(r"Seq Scan on \w+__v1", plan), plan
    assert not re.search(r"Sort Key: .*(updated_at|id|since)", plan), plan


async def test_filtered_lists_read_by_indexes(connection: Connection) -> None:
    for name, filters in FILTERS.items():
        for query in (chats.PINNED, chats.LISTED):
            text = query.format(filters=filters.sql())
            plan = await explain(connection, text, list_values(filters))
            assert not re.search(r"Seq Scan on \w+__v1", plan), (name, plan)


async def test_children_are_found_by_their_root(connection: Connection) -> None:
    plan = await explain(connection, chats.CHILDREN, {"roots": [b.CHAT, b.OWNER]})
    assert "chats__v1__children__root_chat_id__created_at__id__idx" in plan
    assert not re.search(r"Seq Scan on \w+__v1", plan), plan


async def explain(connection: Connection, query: str, values: Any) -> str:
    # as on the disks of today; the default is for those that turn, and makes a planner
    # read a whole small table rather than a few places of it
    await connection.execute("SET random_page_cost = 1.1")
    found = await connection.execute(f"EXPLAIN {query}", values)
    return "\n".join(line for (line,) in await found.fetchall())
