"""Show readers another version of a read model: the view flips in one transaction.

The new version is brought to the old one's position while both are held, so readers
never go back in time. The old one stays, and its projectors go on, until it is dropped.
"""

from __future__ import annotations

import logging
from functools import partial

from projections.level import bring_to, hold, known, need_running
from projections.projection import Projection
from projections.rebuild import Never, Step, no_step
from projections.runner import ProjectionRunner
from projections.tables import begin_ddl, make_view, patiently
from projections.versions import Version, active, versions
from service.db.pool import Connection, Database
from service.errors import SetupError

logger = logging.getLogger(__name__)

FLIP = """
UPDATE ops.projections SET active_version = %s, updated_at = clock_timestamp()
WHERE name = %s AND active_version = %s
"""


async def swap(
    connection: Connection,
    database: Database,
    projection: Projection,
    new: Version,
    *,
    step: Step = no_step,
) -> Version:
    """Point readers at `new`; gives the version that they saw before.

    `connection` is the projector's, `projection` what made `new`. Raises SetupError
    when `new` is not fit to be seen.
    """
    if new.definition != projection.made_by:
        raise SetupError(
            f"{new} is made by definition {new.definition}, this release has "
            f"{projection.made_by}; use the release that built it"
        )
    # what is far behind comes first, while nobody is held up
    await ProjectionRunner(
        database, [projection], Never(), poll_interval_s=1.0
    ).catch_up(connection)
    await step("near")
    old = await patiently(partial(_flip, connection, database, projection, new, step))
    await step("flipped")
    logger.info(
        "read model swapped",
        extra={"projection": new.name, "version": new.version, "old": old.version},
    )
    return old


async def _flip(
    connection: Connection,
    database: Database,
    projection: Projection,
    new: Version,
    step: Step,
) -> Version:
    async with connection.transaction():
        await begin_ddl(connection, database)
        old = await active(connection, new.name)
        if old.version == new.version:
            raise SetupError(f"{new} is in use already")
        await _level(connection, projection, old, new, step)
        await make_view(connection, database, projection.under(new.version))
        await connection.execute(FLIP, (new.version, new.name, old.version))
        await _at(connection, step, "flipping")
    return old


async def _level(
    connection: Connection,
    projection: Projection,
    old: Version,
    new: Version,
    step: Step,
) -> None:
    """Bring the new one at least to where the old one is.

    An old one that is stopped is no obstacle: it may be of a history that is gone.
    """
    held, now = await hold(connection, new.name, [old.version, new.version])
    need_running(now)
    await _at(connection, step, "held")
    if held.state == "running" and now.place.position < held.place.position:
        await bring_to(connection, known(projection, now), held.place.position)
    (now,) = await versions(connection, new.name, new.version)
    if missing := now.parked - held.parked:
        raise SetupError(
            f"{len(missing)} streams are parked in {now} and not in {held}; retry them"
        )
    await _at(connection, step, "level")


async def _at(_connection: Connection, step: Step, name: str) -> None:
    await step(name)
