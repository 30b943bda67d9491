"""Checkpoints: how far each projection is, and which of its streams are parked.

Correctness rests on the compare-and-set of (position, digest) in the transaction of the
effects. The advisory lock only spares losers their work; it is the first statement of
the transaction, so that everything read later is newer than the lock.

It also turns off waiting for the disk: a crash of Postgres loses effects and checkpoint
together or not at all, and what is lost is made again from the log. And it has every
statement planned anew: a plan from when a table was empty scans it when it has grown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from projections.projection import Projection
from service.db.pool import Connection
from service.errors import Conflict
from service.eventstore.records import RecordedEvent

LOCK = """
SELECT p.name, p.version
FROM unnest(%s::text[], %s::int[]) AS p (name, version)
WHERE pg_try_advisory_xact_lock(
  hashtextextended(format('parley projection %%s %%s', p.name, p.version), 0))
  AND set_config('synchronous_commit', 'off', true) = 'off'
  AND set_config('plan_cache_mode', 'force_custom_plan', true) <> ''
"""

LOCK_AND_WAIT = """
SELECT pg_advisory_xact_lock(
  hashtextextended(format('parley projection %%s %%s', %s::text, %s::int), 0))
"""

CHECKPOINTS = """
SELECT c.projection, coalesce(c.definition, c.version), c.version, c.position, c.digest,
  ARRAY(SELECT k.stream_id FROM ops.parked_streams AS k
    WHERE k.projection = c.projection AND k.version = c.version
      AND k.skipped IS NULL),
  ARRAY(SELECT k.position FROM ops.parked_streams AS k
    WHERE k.projection = c.projection AND k.version = c.version
      AND k.skipped IS NOT NULL)
FROM ops.checkpoints AS c
JOIN unnest(%s::text[], %s::int[]) AS p (name, definition)
  ON p.name = c.projection AND p.definition = coalesce(c.definition, c.version)
WHERE c.state = %s
ORDER BY c.version
"""

ADVANCE = """
UPDATE ops.checkpoints AS c
SET position = m.position, digest = m.digest, updated_at = clock_timestamp()
FROM unnest(%s::text[], %s::int[], %s::bigint[], %s::bytea[], %s::bigint[], %s::bytea[])
  AS m (projection, version, old_position, old_digest, position, digest)
WHERE c.projection = m.projection AND c.version = m.version
  AND c.position = m.old_position AND c.digest = m.old_digest
  AND c.state <> 'stopped'
"""

STOP = """
UPDATE ops.checkpoints
SET state = 'stopped', error = %s, updated_at = clock_timestamp()
WHERE projection = %s AND version = %s AND state <> 'stopped'
"""

PARK = """
INSERT INTO ops.parked_streams
  (projection, version, category, stream_id, position, event_version, event_type, error)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""

UNPARK = """
DELETE FROM ops.parked_streams
WHERE projection = %s AND version = %s AND category = %s
  AND stream_id = ANY (%s) AND skipped IS NULL
"""


State = Literal["building", "running", "stopped"]
"""`building`: filled by a command, and no business of projectors."""


class CheckpointMoved(Conflict):
    """Another process moved a checkpoint that this one had read."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the log, and the event that stands there; (0, empty) is its start."""

    position: int = 0
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a projection stands in the log."""

    projection: Projection
    place: Place
    parked: frozenset[UUID] = frozenset()
    """Streams that it leaves out until they are retried."""
    skipped: frozenset[int] = frozenset()
    """Positions of the events that a person had it leave out."""


async def lock(
    connection: Connection, projections: Sequence[Projection]
) -> list[Projection]:
    """Those that no other transaction holds; they are ours until the commit."""
    cursor = await connection.execute(LOCK, _keys(projections))
    held = set(await cursor.fetchall())
    return [p for p in projections if p.key in held]


async def lock_and_wait(connection: Connection, name: str, version: int) -> None:
    """Hold one version until the commit, however long its holder takes."""
    await connection.execute(LOCK_AND_WAIT, (name, version))


async def read(
    connection: Connection,
    projections: Sequence[Projection],
    *,
    state: State = "running",
) -> list[Checkpoint]:
    """The checkpoints of those in this state, in the order of `projections`."""
    found = await find(connection, projections, state=state)
    rows = {each.projection.key: each for each in found}
    return [rows[p.key] for p in projections if p.key in rows]


async def find(
    connection: Connection,
    projections: Sequence[Projection],
    *,
    state: State = "running",
) -> list[Checkpoint]:
    """The checkpoints of all versions that these make, also of rebuilds."""
    made_by = {(p.name, p.made_by): p for p in projections}
    cursor = await connection.execute(
        CHECKPOINTS, ([n for n, _ in made_by], [d for _, d in made_by], state)
    )
    return [
        Checkpoint(
            made_by[name, definition].under(version),
            Place(position, digest),
            frozenset(parked),
            frozenset(skipped),
        )
        for (
            name, definition, version, position, digest, parked, skipped,
        ) in await cursor.fetchall()
    ]  # fmt: skip


async def advance(
    connection: Connection, moves: Sequence[tuple[Checkpoint, Place]]
) -> None:
    """Move all from where they were read; raises CheckpointMoved if one has moved."""
    cursor = await connection.execute(
        ADVANCE,
        (
            *_keys([old.projection for old, _ in moves]),
            [old.place.position for old, _ in moves],
            [old.place.digest for old, _ in moves],
            [new.position for _, new in moves],
            [new.digest for _, new in moves],
        ),
    )
    if cursor.rowcount != len(moves):
        names = [old.projection.name for old, _ in moves]
        raise CheckpointMoved(f"checkpoints of {names!r} were moved by another process")


async def stop(connection: Connection, projection: Projection, error: str) -> None:
    """Take no more events until a person has looked at it."""
    await connection.execute(STOP, (error, projection.name, projection.version))


async def park(
    connection: Connection, projection: Projection, event: RecordedEvent, error: str
) -> None:
    """Skip the event's stream from this event on, until it is retried."""
    await connection.execute(
        PARK,
        (
            projection.name,
            projection.version,
            event.stream.category,
            event.stream.stream_id,
            event.position,
            event.version,
            event.type,
            error,
        ),
    )


async def unpark(
    connection: Connection,
    projection: Projection,
    category: str,
    stream_ids: Sequence[UUID],
) -> None:
    """Take events of the streams again."""
    await connection.execute(
        UNPARK, (projection.name, projection.version, category, list(stream_ids))
    )


def _keys(projections: Sequence[Projection]) -> tuple[list[str], list[int]]:
    return [p.name for p in projections], [p.version for p in projections]
