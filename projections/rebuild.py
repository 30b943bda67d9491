"""Build a version of a read model from position 1, beside the one that readers see.

The version is `building` until it is at the head, and only this process fills it. Then
it is `running`: every projector that knows its definition keeps it up, and nothing that
was appended meanwhile is missed. Whatever ends the build before that takes it away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from psycopg import sql

from projections.checkpoint import lock_and_wait
from projections.projection import Projection
from projections.runner import ProjectionRunner, Signals
from projections.tables import (
    activate_first,
    begin_ddl,
    free_version,
    make_tables,
    patiently,
)
from projections.versions import (
    Version,
    drop,
    drop_unfinished,
    hold,
    release,
    versions,
)
from service.db.pool import Connection, Database, connect
from service.errors import Fault, SetupError

logger = logging.getLogger(__name__)

BATCH = 2_000
"""Events a batch: nobody waits for one of these, and commits cost less."""

HEAD_EVERY_S = 1.0
"""How often the end of the log is looked up; it moves while the build goes on."""

HEAD = "SELECT coalesce(max(position), 0) FROM es.events"

KEEP_SKIPPED = """
INSERT INTO ops.parked_streams (projection, version, category, stream_id, position,
  event_version, event_type, error, parked_at, skipped)
SELECT projection, %s, category, stream_id, position, event_version, event_type, error,
  parked_at, skipped
FROM ops.parked_streams
WHERE projection = %s AND version = %s AND skipped IS NOT NULL
"""

FINISH = """
UPDATE ops.checkpoints SET state = 'running', updated_at = clock_timestamp()
WHERE projection = %s AND version = %s AND state = 'building'
"""


class BuildFailed(Fault):
    """A version could not be built; it was taken away again."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is."""

    position: int
    head: int


async def no_step(_step: str) -> None:
    return None


Step = Callable[[str], Awaitable[None]]
"""What tests wait for: called with the name of each step, within it."""


async def rebuild(
    database: Database,
    projection: Projection,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    step: Step = no_step,
    batch_size: int = BATCH,
) -> Version:
    """Build the next version; gives it, at the head and `running`.

    `database` is the direct way. When the read model has no version yet, readers see
    this one from its last transaction on. Cancelled or failed: nothing is left; if the
    database is away, the next command finds it. Raises BuildFailed, SetupError.
    """
    async with await connect(database, role="projector", name="rebuild") as connection:
        if not await hold(connection, projection.name):
            raise SetupError(f"a build of {projection.name!r} goes on already")
        try:
            await drop_unfinished(connection, database, projection.name)
            building = await patiently(
                partial(_begin, connection, database, projection)
            )
            await step("begun")
            await _fill(connection, database, building, progress, step, batch_size)
            await _analyze(connection, building)
            return await patiently(
                partial(_finish, connection, database, building, step)
            )
        except BaseException:
            await _clean_up(connection, database, projection.name)
            raise
        finally:
            if not connection.closed:
                await release(connection, projection.name)


async def _begin(
    connection: Connection, database: Database, projection: Projection
) -> Projection:
    async with connection.transaction():
        await begin_ddl(connection, database)
        there = await versions(connection, projection.name)
        building = projection.under(free_version(projection, there))
        await make_tables(connection, database, building, state="building")
        for old in there:
            # what a person left out of the same definition stays out
            if old.active and old.definition == projection.made_by:
                values = (building.version, old.name, old.version)
                await connection.execute(KEEP_SKIPPED, values)
    return building


async def _fill(
    connection: Connection,
    database: Database,
    building: Projection,
    progress: Callable[[Progress], None],
    step: Step,
    batch_size: int,
) -> None:
    head = _Head(connection, progress)
    await head.look()

    async def applied(_names: Sequence[str]) -> None:
        await step("batch")
        await head.look_again()

    runner = ProjectionRunner(
        database,
        [building],
        Never(),
        poll_interval_s=HEAD_EVERY_S,
        batch_size=batch_size,
        signals=Signals(applied=applied, committed=head.tell),
        state="building",
    )
    await runner.catch_up(connection)
    (found,) = await versions(connection, building.name, building.version)
    if found.state != "building" or runner.failure is not None:
        await drop(connection, database, found)
        raise BuildFailed(
            f"{found} cannot be built: {found.error or runner.failure}; nothing is left"
        )
    await step("built")


async def _analyze(connection: Connection, building: Projection) -> None:
    """Tables that were filled at once have no statistics yet."""
    for table in building.tables:
        name = sql.Identifier("read", f"{table}__v{building.version}")
        await connection.execute(sql.SQL("ANALYZE {}").format(name))


async def _finish(
    connection: Connection, database: Database, building: Projection, step: Step
) -> Version:
    async with connection.transaction():
        await begin_ddl(connection, database)
        await lock_and_wait(connection, *building.key)
        await connection.execute(FINISH, building.key)
        await activate_first(connection, database, building)
        (found,) = await versions(connection, building.name, building.version)
        await _at(step, "finishing", connection)
    logger.info(
        "read model built",
        extra={"projection": building.name, "version": building.version},
    )
    return found


async def _at(step: Step, name: str, _connection: Connection) -> None:
    await step(name)


async def _clean_up(connection: Connection, database: Database, name: str) -> None:
    """Leave nothing behind, on whatever connection there is."""
    try:
        if not connection.closed:
            await drop_unfinished(connection, database, name)
            return
        async with await connect(database, role="projector", name="rebuild") as other:
            if await hold(other, name):
                await drop_unfinished(other, database, name)
    except Exception as error:
        logger.warning(
            "a half-built read model is left; the next command drops it",
            extra={"projection": name, "reason": type(error).__name__},
        )


class _Head:
    """The end of the log, looked up now and then, and how far the build is."""

    def __init__(
        self, connection: Connection, progress: Callable[[Progress], None]
    ) -> None:
        self._connection = connection
        self._progress = progress
        self._at = Progress(0, 0)
        self._looked = 0.0

    async def look(self) -> None:
        cursor = await self._connection.execute(HEAD)
        ((head,),) = await cursor.fetchall()
        self._looked = asyncio.get_running_loop().time()
        self._at = replace(self._at, head=head)
        self._progress(self._at)

    async def look_again(self) -> None:
        if asyncio.get_running_loop().time() - self._looked >= HEAD_EVERY_S:
            await self.look()

    def tell(self, position: int) -> None:
        self._at = Progress(position, max(position, self._at.head))
        self._progress(self._at)


class Never:
    """A build does not wait for what comes: it ends at the head."""

    async def wait(self, timeout: float) -> bool:
        return False
