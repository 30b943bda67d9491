"""The views of read models and the row types that read them say the same."""

from __future__ import annotations

import types
from collections.abc import AsyncIterator
from dataclasses import fields
from datetime import datetime
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import pytest
import pytest_asyncio

from projections.registry import PROJECTIONS
from projections.tables import make_read_models
from service.db.pool import Connection, Database, connect
from service.readmodels.chats import ChatColumns
from service.readmodels.messages import MessageRow
from service.readmodels.queue import QueueRow
from service.readmodels.runnable import RunnableRow
from service.readmodels.watch_feed import WatchRow

ROWS: dict[str, type] = {
    "chats": ChatColumns,
    "messages": MessageRow,
    "queue": QueueRow,
    "runnable": RunnableRow,
    "watch_feed": WatchRow,
}

JOINED = {
    "cursors": ["chat_id", "read_up_to", "first_unread"],
    "search": ["chat_id", "id", "words"],
    "usage_ledger": [
        "position", "at", "user_id", "organization_id", "chat_id", "root_chat_id",
        "model_config_id", "provider", "model", "purpose", "input_tokens",
        "output_tokens", "cache_read_tokens", "cache_creation_tokens",
        "reasoning_tokens", "cost_micros", "runtime_ms",
    ],
}  # fmt: skip
"""Read models that the list of chats joins, or that are summed: their columns."""

SQL_TYPES: dict[Any, set[str]] = {
    UUID: {"uuid"},
    str: {"text"},
    int: {"integer", "bigint", "smallint"},
    bool: {"boolean"},
    datetime: {"timestamp with time zone"},
    dict: {"jsonb"},
    list: {"jsonb"},
}

COLUMNS = """
SELECT a.attname, format_type(a.atttypid, NULL), a.attnotnull,
  col_description(a.attrelid, a.attnum)
FROM pg_attribute AS a
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""

OBJECTS = """
SELECT c.relname, obj_description(c.oid, 'pg_class') FROM pg_class AS c
WHERE c.relnamespace = 'read'::regnamespace AND c.relkind IN ('r', 'v')
ORDER BY 1
"""

NAMES = """
SELECT conname FROM pg_constraint
WHERE connamespace = 'read'::regnamespace AND contype <> 'n'
UNION SELECT relname FROM pg_class
WHERE relnamespace = 'read'::regnamespace AND relkind = 'i'
"""


@pytest_asyncio.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    """The read models, made."""
    await make_read_models(database, PROJECTIONS)
    async with await connect(database, role=None, name="test") as opened:
        yield opened


def test_every_projection_has_a_row_type_or_is_joined() -> None:
    assert {projection.name for projection in PROJECTIONS} == {*ROWS, *JOINED}


@pytest.mark.parametrize("name", JOINED)
async def test_view_has_the_columns_that_are_joined(
    connection: Connection, name: str
) -> None:
    found = await connection.execute(COLUMNS, (f"read.{name}",))
    assert [column for column, *_ in await found.fetchall()] == JOINED[name]


@pytest.mark.parametrize("name", ROWS)
async def test_view_has_the_columns_of_its_row_type(
    connection: Connection, name: str
) -> None:
    found = await connection.execute(COLUMNS, (f"read.{name}",))
    columns = {column: kind for column, kind, *_ in await found.fetchall()}
    row_type = ROWS[name]
    assert [field.name for field in fields(row_type)] == list(columns)
    for field, hint in get_type_hints(row_type).items():
        assert columns[field] in SQL_TYPES[_required(hint)], field


@pytest.mark.parametrize("name", ROWS)
async def test_column_that_may_be_null_is_optional_in_the_row_type(
    connection: Connection, name: str
) -> None:
    found = await connection.execute(COLUMNS, (f"read.{name}__v1",))
    hints = get_type_hints(ROWS[name])
    for column, _, not_null, _ in await found.fetchall():
        assert _is_optional(hints[column]) is not not_null, column


async def test_every_table_view_and_column_has_a_comment(
    connection: Connection,
) -> None:
    found = await connection.execute(OBJECTS)
    for name, comment in await found.fetchall():
        assert comment, name
        columns = await connection.execute(COLUMNS, (f"read.{name}",))
        for column, _, _, told in await columns.fetchall():
            # a view says nothing of a column that is its table's
            assert told or name in {*ROWS, *JOINED}, f"{name}.{column}"


async def test_names_say_table_and_version(connection: Connection) -> None:
    found = await connection.execute(NAMES)
    names = [name for (name,) in await found.fetchall()]
    assert names
    tables = {table for projection in PROJECTIONS for table in projection.tables}
    for name in names:
        table, version, *_, kind = name.split("__")
        assert table in tables
        assert version == "v1"
        assert kind in ("pkey", "idx", "key", "check")


def _required(hint: Any) -> Any:
    """The type behind `| None`, without what it is made of."""
    if _is_optional(hint):
        (hint,) = [each for each in get_args(hint) if each is not type(None)]
    return get_origin(hint) or hint


def _is_optional(hint: Any) -> bool:
    union = get_origin(hint) in (Union, types.UnionType)
    return union and type(None) in get_args(hint)
