"""Compare two versions of a read model by SQL, at the same position of the log.

Both are held for as long as it takes, so projectors leave these two alone meanwhile;
readers notice nothing. Rows are matched by primary key, unless the projection says what
counts; columns that only one of the versions has are named, not compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from psycopg import sql

from projections.level import bring_to, hold, known, need_running
from projections.projection import Compared, Projection
from projections.tables import LOCK_TIMEOUT_MS, patiently
from projections.versions import Version, versions
from service.db.pool import Connection
from service.errors import SetupError

SAMPLES = 5
"""Rows shown of each kind: enough to see what kind of difference it is."""

KEY = """
SELECT a.attname
FROM pg_index AS i
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = %s::regclass AND i.indisprimary
ORDER BY a.attnum
"""

NO_ROWS = sql.SQL('SELECT * FROM ({}) AS "?all" LIMIT 0')

COMPARE = sql.SQL("""
SELECT count(*) FILTER (WHERE d.new IS NULL), count(*) FILTER (WHERE d.old IS NULL),
  count(*) FILTER (WHERE d.old IS NOT NULL AND d.new IS NOT NULL),
  (array_agg(d.old) FILTER (WHERE d.new IS NULL))[:{samples}],
  (array_agg(d.new) FILTER (WHERE d.old IS NULL))[:{samples}],
  (array_agg(jsonb_build_object('old', d.old, 'new', d.new))
    FILTER (WHERE d.old IS NOT NULL AND d.new IS NOT NULL))[:{samples}]
FROM (
  SELECT to_jsonb("?old") AS old, to_jsonb("?new") AS new
  FROM (SELECT {columns} FROM ({old}) AS "?all") AS "?old"
  FULL JOIN (SELECT {columns} FROM ({new}) AS "?all") AS "?new" USING ({keys})
  WHERE to_jsonb("?old") IS DISTINCT FROM to_jsonb("?new")) AS d
""")
"""Aliases that no column has: where one has, its name would mean the column."""

COUNT = sql.SQL("SELECT count(*) FROM read.{}")


@dataclass(frozen=True, slots=True)
class TableDiff:
    """What two versions of one table have not in common."""

    table: str
    rows: tuple[int, int]
    """Of the old one and of the new one."""
    only_old: int
    only_new: int
    different: int
    samples: dict[str, Sequence[Any]]
    """Some rows of each kind; of those that differ both."""
    columns: dict[str, Sequence[str]]
    """Columns that one of them lacks: they are not compared."""

    @property
    def empty(self) -> bool:
        """No row differs."""
        return not (self.only_old or self.only_new or self.different)


@dataclass(frozen=True, slots=True)
class Diff:
    """A comparison of two versions at one position."""

    old: Version
    new: Version
    position: int
    tables: tuple[TableDiff, ...]

    @property
    def empty(self) -> bool:
        """They hold the same rows, and the same streams are parked."""
        return all(t.empty for t in self.tables) and self.old.parked == self.new.parked


async def diff(
    connection: Connection, projection: Projection, old: Version, new: Version
) -> Diff:
    """Compare. `projection` is what this release has of that name.

    Raises SetupError when they cannot be brought to one position.
    """
    return await patiently(partial(_diff, connection, projection, old, new))


async def _diff(
    connection: Connection, projection: Projection, old: Version, new: Version
) -> Diff:
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        numbers = [old.version, new.version]
        for version in await hold(connection, new.name, numbers):
            need_running(version)
        both = await _level(connection, projection, numbers)
        tables = [
            await _compare(connection, projection, table, numbers)
            for table in _common_tables(both[0], both[1])
        ]
    was, now = both
    return Diff(was, now, now.place.position, tuple(tables))


async def _level(
    connection: Connection, projection: Projection, numbers: Sequence[int]
) -> list[Version]:
    for _ in range(2):
        both = await versions(connection, projection.name, *numbers)
        behind, ahead = sorted(both, key=lambda v: v.place.position)
        if behind.place == ahead.place:
            break
        # twice: an append ends where the other one may not be yet
        await bring_to(connection, known(projection, behind), ahead.place.position)
    by_number = {v.version: v for v in both}
    return [by_number[number] for number in numbers]


def _common_tables(old: Version, new: Version) -> list[str]:
    if set(old.tables) != set(new.tables):
        raise SetupError(
            f"{old} has the tables {', '.join(old.tables)}, {new} has"
            f" {', '.join(new.tables)}; they cannot be compared"
        )
    return list(new.tables)


async def _compare(
    connection: Connection, projection: Projection, table: str, numbers: Sequence[int]
) -> TableDiff:
    names = [f"{table}__v{number}" for number in numbers]
    rule = projection.compared.get(table)
    if rule is None:
        queries: list[sql.Composable] = [
            sql.SQL("SELECT * FROM read.{}").format(sql.Identifier(name))
            for name in names
        ]
        keys = await _common_key(connection, *names)
    else:
        queries = [_relation(rule, number) for number in numbers]
        keys = rule.keys
    theirs, ours = [await _columns(connection, query) for query in queries]
    without = frozenset() if rule is None else rule.without
    statement = COMPARE.format(
        samples=sql.Literal(SAMPLES),
        columns=_names([n for n in ours if n in theirs and n not in without]),
        keys=_names(keys),
        old=queries[0],
        new=queries[1],
    )
    cursor = await connection.execute(statement)
    ((only_old, only_new, different, *samples),) = await cursor.fetchall()
    return TableDiff(
        table,
        (await _count(connection, names[0]), await _count(connection, names[1])),
        only_old,
        only_new,
        different,
        dict(
            zip(
                ("only_old", "only_new", "different"),
                [each or [] for each in samples],
                strict=True,
            )
        ),
        {
            "only_old": [name for name in theirs if name not in ours],
            "only_new": [name for name in ours if name not in theirs],
        },
    )


def _relation(rule: Compared, version: int) -> sql.SQL:
    # the text is a projection's own, like its statements
    return sql.SQL(rule.relation.replace("{v}", str(version)))


async def _common_key(connection: Connection, old: str, new: str) -> Sequence[str]:
    theirs, ours = await _key(connection, old), await _key(connection, new)
    if not ours or ours != theirs:
        raise SetupError(f"read.{new} and read.{old} have no key in common")
    return ours


async def _key(connection: Connection, table: str) -> list[str]:
    cursor = await connection.execute(KEY, (f"read.{table}",))
    return [name for (name,) in await cursor.fetchall()]


async def _columns(connection: Connection, query: sql.Composable) -> list[str]:
    cursor = await connection.execute(NO_ROWS.format(query))
    return [column.name for column in cursor.description or ()]


async def _count(connection: Connection, table: str) -> int:
    cursor = await connection.execute(COUNT.format(sql.Identifier(table)))
    ((rows,),) = await cursor.fetchall()
    return int(rows)


def _names(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
