"""Make the tables of projections that are missing, their views and their checkpoints.

Tables belong to the projector's role and carry their version; migrations know nothing
of them. Their SQL may be applied again at any time, and is when it has changed: new
comments, rights or views need no new version. The view is made with the first version;
pointing it at another one is a step of its own, after a rebuild.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from psycopg import sql
from psycopg.errors import DeadlockDetected, LockNotAvailable

from projections.projection import Projection
from service.db.migrate import read_sql, with_prefix
from service.db.pool import Connection, Database, connect
from service.errors import SetupError

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

VIEW_MARK = "-- [view]\n"
"""The line of a projection's SQL above which readers see nothing."""

LOCK_TIMEOUT_MS = 300
"""Readers queue behind DDL that waits: it gives way after this, and tries again."""

DDL_ATTEMPTS = 40
"""With the pauses between them most of a minute; then look who holds the lock."""

FOUND = """
SELECT c.projection, coalesce(c.definition, c.version), c.version,
  c.checksum, c.release,
  c.version IS NOT DISTINCT FROM a.active_version,
  c.state = 'building' OR (
    to_regclass(format('read.%%I', c.projection)) IS NOT NULL AND NOT EXISTS (
      SELECT FROM unnest(c.tables) AS t (name)
      WHERE to_regclass(format('read.%%I', t.name || '__v' || c.version)) IS NULL))
FROM ops.checkpoints AS c
LEFT JOIN ops.projections AS a ON a.name = c.projection
WHERE c.projection = ANY (%s)
"""

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('parley read models', 0))"

ACTIVATE = """
INSERT INTO ops.projections (name, active_version) VALUES (%s, %s)
ON CONFLICT (name) DO NOTHING
"""

ACTIVE = "SELECT active_version FROM ops.projections WHERE name = %s"

BEGIN = """
INSERT INTO ops.checkpoints
  (projection, version, definition, tables, checksum, release, state)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (projection, version) DO UPDATE
SET tables = excluded.tables, checksum = excluded.checksum, release = excluded.release
"""


class _Found(NamedTuple):
    """A version that the database has."""

    name: str
    definition: int
    version: int
    checksum: str | None
    release: str | None
    active: bool
    whole: bool


async def make_read_models(
    database: Database, projections: Sequence[Projection]
) -> None:
    """Make what is missing, for a process that reads and does not project."""
    async with await connect(
        database, role="projector", name="read-models"
    ) as connection:
        await prepare(connection, database, projections)


async def prepare(
    connection: Connection, database: Database, projections: Sequence[Projection]
) -> None:
    """Make what is missing or has changed, in one transaction; any number may.

    `connection` is the projector's: its role will own the tables.
    """
    if await _due(connection, projections):
        await patiently(partial(_make_all, connection, database, projections))


async def patiently(work: Callable[[], Awaitable[Result]]) -> Result:
    """Run a transaction that gives way to readers, again until it finds its locks."""
    for attempt in range(1, DDL_ATTEMPTS + 1):
        try:
            return await work()
        except (LockNotAvailable, DeadlockDetected):
            # longer each time, so that readers get through meanwhile
            await asyncio.sleep(min(0.1 * attempt, 1.0))
    raise SetupError("no lock on the read models; see pg_locks for who has it")


async def begin_ddl(connection: Connection, database: Database) -> None:
    """First statements of a transaction that makes, flips or drops read models."""
    await connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
    await connection.execute(LOCK)
    if database.pooled:
        # the session has no role of its own, and the tables need the right owner
        role = sql.Identifier(database.role("projector"))
        await connection.execute(sql.SQL("SET LOCAL ROLE {}").format(role))


async def make_tables(
    connection: Connection,
    database: Database,
    projection: Projection,
    *,
    state: str = "running",
) -> None:
    """Tables and checkpoint of one version; of one that is there: its SQL again."""
    tables, _ = _split(database, projection)
    await connection.execute(tables.encode())
    made_by = projection.made_by
    await connection.execute(
        BEGIN,
        (
            *projection.key,
            None if made_by == projection.version else made_by,
            list(projection.tables),
            checksum(projection),
            metadata.version("parley"),
            state,
        ),
    )


async def make_view(
    connection: Connection, database: Database, projection: Projection
) -> None:
    """Point the view at this version."""
    _, view = _split(database, projection)
    await connection.execute(view.encode())


def checksum(projection: Projection) -> str:
    """Tells whether its SQL has changed, whichever version it is for."""
    text = _source(projection.under(0), "parley")
    return hashlib.sha256(text.encode()).hexdigest()


async def _make_all(
    connection: Connection, database: Database, projections: Sequence[Projection]
) -> None:
    async with connection.transaction():
        await begin_ddl(connection, database)
        due = await _due(connection, projections)
        for projection in due:
            await make_tables(connection, database, projection)
            await activate_first(connection, database, projection)
    for projection in due:
        fields = {"projection": projection.name, "version": projection.version}
        logger.info("read model made", extra=fields)


async def activate_first(
    connection: Connection, database: Database, projection: Projection
) -> None:
    """Show this version if there is no other; if it is the one that is shown, again."""
    await connection.execute(ACTIVATE, projection.key)
    cursor = await connection.execute(ACTIVE, (projection.name,))
    if await cursor.fetchone() == (projection.version,):
        await make_view(connection, database, projection)


async def _due(
    connection: Connection, projections: Sequence[Projection]
) -> list[Projection]:
    """Versions to make, or to apply their SQL again."""
    cursor = await connection.execute(FOUND, ([p.name for p in projections],))
    found = [_Found(*row) for row in await cursor.fetchall()]
    due: list[Projection] = []
    for projection in projections:
        theirs = [each for each in found if each.name == projection.name]
        made = [each for each in theirs if each.definition == projection.made_by]
        if not made:
            due.append(projection.under(free_version(projection, theirs)))
        due += [projection.under(v.version) for v in made if _is_due(projection, v)]
    return due


def free_version(projection: Projection, taken: Sequence[Any]) -> int:
    """Its own number when that is free, else the next after all that are taken."""
    versions = [each.version for each in taken]
    if projection.made_by not in versions:
        return projection.made_by
    return int(max(versions) + 1)


def _is_due(projection: Projection, found: _Found) -> bool:
    if not found.whole:
        return True
    newer = _order(found.release or "0") > _order(metadata.version("parley"))
    return found.checksum != checksum(projection) and not newer


def _split(database: Database, projection: Projection) -> tuple[str, str]:
    text = _source(projection, database.role_prefix)
    tables, mark, view = text.partition(VIEW_MARK)
    if not mark:
        raise SetupError(
            f"the SQL of projection {projection.name!r} lacks a line '-- [view]'"
        )
    return tables, view


def _source(projection: Projection, role_prefix: str) -> str:
    own = projection.sql
    if own is None:
        return read_sql(projection.name, projection.version, role_prefix=role_prefix)
    text = own.read_text(encoding="utf-8") if isinstance(own, Path) else own
    return with_prefix(text, role_prefix).replace("{v}", str(projection.version))


def _order(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", release)[:3])
