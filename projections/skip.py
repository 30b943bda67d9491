"""What a person decides about a projection that cannot go on: skip, or try again."""

from __future__ import annotations

import logging

from projections import checkpoint as checkpoints
from projections.projection import Projection
from projections.retry import retry
from projections.versions import Version, versions
from service.db.pool import Connection
from service.domain.ids import CHAT
from service.errors import SetupError
from service.eventstore.records import StreamName

logger = logging.getLogger(__name__)

STOPPING = """
SELECT e.category, e.stream_id, e.version, e.type
FROM es.events AS e
JOIN es.events AS f ON f.position = %s
WHERE e.position = %s
  AND e.position BETWEEN f.position AND f.position + f.append_last - f.version
"""

SKIP = """
INSERT INTO ops.parked_streams (projection, version, category, stream_id, position,
  event_version, event_type, error, skipped)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

RESUME = """
UPDATE ops.checkpoints
SET state = 'running', error = NULL, updated_at = clock_timestamp()
WHERE projection = %s AND version = %s AND state = 'stopped'
"""


async def skip(
    connection: Connection, version: Version, position: int, *, reason: str
) -> None:
    """Leave one event out for good, and go on; the reason is kept beside it.

    Only an event of the append that the version stopped at. Raises SetupError.
    """
    if not reason.strip():
        raise SetupError("a skipped event needs a reason; it is kept for good")
    async with connection.transaction():
        await checkpoints.lock_and_wait(connection, version.name, version.version)
        found = await versions(connection, version.name, version.version)
        if not found or found[0].state != "stopped":
            raise SetupError(f"{version} is not stopped; nothing is skipped")
        next_one = found[0].place.position + 1
        cursor = await connection.execute(STOPPING, (next_one, position))
        event = await cursor.fetchone()
        if event is None:
            raise SetupError(
                f"{version} stopped before position {next_one}, and {position} is not "
                "in the append there; only what stopped it can be skipped"
            )
        values = (*event[:2], position, *event[2:], found[0].error or "", reason)
        await connection.execute(SKIP, (version.name, version.version, *values))
        await connection.execute(RESUME, (version.name, version.version))
    logger.warning(
        "event skipped",
        extra={
            "projection": version.name,
            "version": version.version,
            "position": position,
            "reason": reason,
        },
    )


async def resume(connection: Connection, version: Version) -> bool:
    """Have a stopped version try the same event again; false when it is not stopped."""
    async with connection.transaction():
        await checkpoints.lock_and_wait(connection, version.name, version.version)
        cursor = await connection.execute(RESUME, (version.name, version.version))
    if cursor.rowcount:
        fields = {"projection": version.name, "version": version.version}
        logger.warning("stopped projection resumed", extra=fields)
    return cursor.rowcount > 0


async def retry_stream(
    connection: Connection, projection: Projection, stream: StreamName
) -> int:
    """`retry`, and a log record of it: how many events it took."""
    taken = await retry(connection, projection, stream)
    logger.warning(
        "parked stream retried",
        extra={
            "projection": projection.name,
            "version": projection.version,
            "stream_id": str(stream.stream_id),
            "events": taken,
        },
    )
    return taken


def parked_streams(version: Version) -> list[StreamName]:
    """Streams that a version leaves out until they are retried."""
    return [StreamName(CHAT, stream_id) for stream_id in sorted(version.parked)]
