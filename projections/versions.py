"""The versions of read models that the database has; dropping what is not in use.

Whoever builds a version holds an advisory lock on its connection for as long. A version
that is `building` while nobody holds the lock was left by a command that was killed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from psycopg import sql

from projections import checkpoint as checkpoints
from projections.checkpoint import Place
from projections.tables import begin_ddl, patiently
from service.db.pool import Connection, Database
from service.errors import SetupError

logger = logging.getLogger(__name__)

VERSIONS = """
SELECT c.projection, c.version, coalesce(c.definition, c.version),
  c.version IS NOT DISTINCT FROM a.active_version, c.state, c.error,
  c.position, c.digest, coalesce(c.tables, ARRAY[c.projection]),
  ARRAY(SELECT k.stream_id FROM ops.parked_streams AS k
    WHERE k.projection = c.projection AND k.version = c.version AND k.skipped IS NULL)
FROM ops.checkpoints AS c
LEFT JOIN ops.projections AS a ON a.name = c.projection
WHERE c.projection = %s AND (%s::int[] = '{}' OR c.version = ANY (%s))
ORDER BY c.version
"""

BUILDING = """
SELECT DISTINCT projection FROM ops.checkpoints WHERE state = 'building'
"""

HOLD = "SELECT pg_try_advisory_lock(hashtextextended('parley building ' || %s, 0))"

RELEASE = "SELECT pg_advisory_unlock(hashtextextended('parley building ' || %s, 0))"

FORGET_CHECKPOINT = "DELETE FROM ops.checkpoints WHERE projection = %s AND version = %s"

FORGET_PARKED = """
DELETE FROM ops.parked_streams WHERE projection = %s AND version = %s
"""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a read model, whoever made it."""

    name: str
    version: int
    definition: int
    active: bool
    """Readers see this one."""
    state: str
    error: str | None
    place: Place
    tables: tuple[str, ...]
    parked: frozenset[UUID]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


async def versions(connection: Connection, name: str, *only: int) -> list[Version]:
    """All versions of a read model, or only these; oldest number first."""
    cursor = await connection.execute(VERSIONS, (name, list(only), list(only)))
    return [
        Version(
            name, number, definition, shown, state, error,
            Place(position, digest), tuple(tables), frozenset(parked),
        )
        for (
            name, number, definition, shown, state, error,
            position, digest, tables, parked,
        ) in await cursor.fetchall()
    ]  # fmt: skip


async def active(connection: Connection, name: str) -> Version:
    """The version that readers see. Raises SetupError when there is none."""
    for found in await versions(connection, name):
        if found.active:
            return found
    raise SetupError(f"there is no read model {name!r} yet; build it")


async def pick(connection: Connection, name: str, version: int | None) -> Version:
    """This version; without a number the newest that is built and not in use.

    Raises SetupError.
    """
    found = await versions(connection, name)
    beside = [v for v in found if not v.active and v.state != "building"]
    wanted = beside[-1:] if version is None else [
        v for v in found if v.version == version
    ]  # fmt: skip
    if not wanted:
        what = "version beside the one in use" if version is None else f"v{version}"
        known = ", ".join(f"v{v.version}" for v in found) or "none"
        raise SetupError(f"{name!r} has no {what}; there is {known}; rebuild it first")
    return wanted[0]


async def hold(connection: Connection, name: str) -> bool:
    """Be the one that builds versions of this; false when somebody else is."""
    cursor = await connection.execute(HOLD, (name,))
    ((held,),) = await cursor.fetchall()
    return bool(held)


async def release(connection: Connection, name: str) -> None:
    """Let others build; a connection that ends lets go by itself."""
    await connection.execute(RELEASE, (name,))


async def drop(connection: Connection, database: Database, found: Version) -> None:
    """Take a version away: tables, checkpoint, parked streams, in one transaction.

    Whoever feeds it finishes its batch first. Raises SetupError for the one in use.
    """
    await patiently(partial(_drop, connection, database, found))


async def _drop(connection: Connection, database: Database, found: Version) -> None:
    async with connection.transaction():
        await begin_ddl(connection, database)
        await checkpoints.lock_and_wait(connection, found.name, found.version)
        now = await versions(connection, found.name, found.version)
        if any(version.active for version in now):
            raise SetupError(f"{found} is in use; swap to another version first")
        for table in (f"{name}__v{found.version}" for name in found.tables):
            await connection.execute(
                sql.SQL("DROP TABLE IF EXISTS read.{}").format(sql.Identifier(table))
            )
        await connection.execute(FORGET_PARKED, (found.name, found.version))
        await connection.execute(FORGET_CHECKPOINT, (found.name, found.version))


async def sweep(connection: Connection, database: Database) -> list[Version]:
    """Drop what killed commands have left half built; gives what it was."""
    swept: list[Version] = []
    cursor = await connection.execute(BUILDING)
    for (name,) in await cursor.fetchall():
        if not await hold(connection, name):
            continue
        try:
            swept += await drop_unfinished(connection, database, name)
        finally:
            await release(connection, name)
    return swept


async def drop_unfinished(
    connection: Connection, database: Database, name: str
) -> list[Version]:
    """Drop every version in state `building`; the caller holds the lock on them."""
    unfinished = [v for v in await versions(connection, name) if v.state == "building"]
    for found in unfinished:
        await drop(connection, database, found)
        logger.info(
            "half-built read model dropped",
            extra={"projection": found.name, "version": found.version},
        )
    return unfinished
