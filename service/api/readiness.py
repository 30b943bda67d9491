"""Whether this process can serve: the database answers, and its schema is ours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg_pool import PoolTimeout

from service.db.migrate import schema_state
from service.db.pool import Pool
from service.readmodels.lag import ProjectionLag, projection_lag

PATIENCE_S = 2.0
"""A probe wants an answer before its own time-out, which is often 3 s."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """What /readyz reports. Lag is told, and never makes a process unready."""

    database: bool
    schema: bool
    lag: Sequence[ProjectionLag] = ()


async def look(pool: Pool) -> Readiness:
    """Ask the database; what it does not answer in time is not there."""
    try:
        async with asyncio.timeout(PATIENCE_S), pool.connection() as connection:
            if not (await schema_state(connection)).current:
                return Readiness(database=True, schema=False)
            return Readiness(
                database=True, schema=True, lag=await projection_lag(connection)
            )
    except (TimeoutError, PoolTimeout, psycopg.Error):
        return Readiness(database=False, schema=False)
