"""Make the tables of projections that are missing, their views and their checkpoints.

Tables belong to the projector's role and carry their version; migrations know nothing
of them. The view is made once, with the first version: pointing it at another one is a
step of its own, after a rebuild.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from psycopg import sql

from projections.projection import Projection
from service.db.migrate import read_sql
from service.db.pool import Connection, Database, connect

logger = logging.getLogger(__name__)

VIEW_MARK = "-- [view]\n"
"""The line of sql/read/<name>.sql above which readers see nothing."""

READY = """
SELECT p.name, p.version
FROM unnest(%s::text[], %s::int[]) AS p (name, version)
JOIN ops.checkpoints AS c ON c.projection = p.name AND c.version = p.version
WHERE to_regclass(format('read.%%I', p.name)) IS NOT NULL
  AND to_regclass(format('read.%%I', p.name || '__v' || p.version)) IS NOT NULL
"""

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('parley read models', 0))"

ACTIVATE = """
INSERT INTO ops.projections (name, active_version) VALUES (%s, %s)
ON CONFLICT (name) DO NOTHING
"""

ACTIVE = "SELECT active_version FROM ops.projections WHERE name = %s"

BEGIN = """
INSERT INTO ops.checkpoints (projection, version) VALUES (%s, %s)
ON CONFLICT (projection, version) DO NOTHING
"""


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
    """Make what is missing, in one transaction; any number of processes may.

    `connection` is the projector's: its role will own the tables.
    """
    if not await _missing(connection, projections):
        return
    async with connection.transaction():
        await connection.execute(LOCK)
        if database.pooled:
            # the session has no role of its own, and the tables need the right owner
            role = sql.Identifier(database.role("projector"))
            await connection.execute(sql.SQL("SET LOCAL ROLE {}").format(role))
        for projection in await _missing(connection, projections):
            await _make(connection, database, projection)
            logger.info("read model made", extra={"projection": projection.name})


async def _missing(
    connection: Connection, projections: Sequence[Projection]
) -> list[Projection]:
    cursor = await connection.execute(
        READY, ([p.name for p in projections], [p.version for p in projections])
    )
    ready = set(await cursor.fetchall())
    return [p for p in projections if p.key not in ready]


async def _make(
    connection: Connection, database: Database, projection: Projection
) -> None:
    text = read_sql(
        projection.name, projection.version, role_prefix=database.role_prefix
    )
    tables, _, view = text.partition(VIEW_MARK)
    await connection.execute(tables.encode())
    await connection.execute(ACTIVATE, (projection.name, projection.version))
    cursor = await connection.execute(ACTIVE, (projection.name,))
    if await cursor.fetchone() == (projection.version,):
        await connection.execute(view.encode())
    await connection.execute(BEGIN, (projection.name, projection.version))
