"""How far each read model is behind the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.db.pool import Connection

LAG = """
SELECT c.projection, c.version, c.state, c.error,
  greatest(h.position - c.position, 0),
  coalesce(extract(epoch FROM clock_timestamp() - n.recorded_at), 0)::float8,
  (SELECT count(*) FROM ops.parked_streams AS k
   WHERE k.projection = c.projection AND k.version = c.version
     AND k.skipped IS NULL)
FROM ops.projections AS p
JOIN ops.checkpoints AS c
  ON c.projection = p.name AND c.version = p.active_version
CROSS JOIN (SELECT coalesce(max(position), 0) FROM es.events) AS h (position)
LEFT JOIN es.events AS n ON n.position = c.position + 1
ORDER BY c.projection
"""


@dataclass(frozen=True, slots=True)
class ProjectionLag:
    """One read model in use, and how far it is behind."""

    projection: str
    version: int
    state: str
    """`running`, or `stopped` until a person acts."""
    error: str | None
    events_behind: int
    seconds_behind: float
    """Age of the oldest event that is not projected yet; 0 when none is."""
    parked_streams: int


async def projection_lag(connection: Connection) -> Sequence[ProjectionLag]:
    """The lag of every read model in use, by name."""
    found = await connection.execute(LAG)
    return [ProjectionLag(*row) for row in await found.fetchall()]


VERSIONS = """
SELECT projection, version, coalesce(active, false), state, error, position, lag_events,
  extract(epoch FROM lag_age)::float8, parked_streams
FROM ops.projection_lag ORDER BY projection, version
"""


@dataclass(frozen=True, slots=True)
class VersionLag:
    """One version of a read model, in use or not, and how far it is behind."""

    projection: str
    version: int
    active: bool
    """Readers see this one."""
    state: str
    """`building`, `running`, or `stopped` until a person acts."""
    error: str | None
    position: int
    events_behind: int
    seconds_behind: float
    parked_streams: int


async def all_versions(connection: Connection) -> Sequence[VersionLag]:
    """The lag of every version that there is, also of those beside the live ones."""
    found = await connection.execute(VERSIONS)
    return [VersionLag(*row) for row in await found.fetchall()]
