"""The projector: keeps all read models up with the log, in any number of processes.

A cycle reads each stretch of the log once for all projections that stand before it. A
batch is one transaction: lock, checkpoints, page, effects, checkpoints moved. Whoever
finds a projection locked leaves it to the holder until the next wake-up.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

import psycopg

from projections import checkpoint as checkpoints
from projections.apply import Applied, Poisoned, apply_page, describe
from projections.checkpoint import Checkpoint, CheckpointMoved, State
from projections.page import BrokenLog, Page, check_history, read_page
from projections.projection import Projection
from projections.tables import prepare
from service.db.pool import Connection, Database, connect
from service.errors import Fault

logger = logging.getLogger(__name__)

BATCH = 500
"""Events a batch: a commit is cheap beside it, the event loop is free every 10 ms."""
BACKOFF_S = (0.1, 5.0)
"""Between attempts to connect: a restart takes a second; 5 s after a long outage."""
REST_S = 5.0
"""How long a projection rests whose statements fail whatever the event."""


class Wakeup(Protocol):
    """Rung when the log moved, or may have; `service.subscription.wakeup`."""

    async def wait(self, timeout: float) -> bool:
        """Wait for a ring, at most `timeout` seconds."""
        ...


async def _nothing(_names: Sequence[str]) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Signals:
    """What tests wait for; in production nobody listens."""

    applied: Callable[[Sequence[str]], Awaitable[None]] = _nothing
    """In the transaction, after the effects, before the checkpoint and the commit."""
    committed: Callable[[int], None] = lambda _: None
    """A batch up to this position is committed."""
    cycled: Callable[[], None] = lambda: None
    """The runner has seen all there was, and waits."""


@dataclass(slots=True)
class Tally:
    """What the runner did since the process started; read by metrics."""

    events: int = 0
    batches: int = 0
    parked: int = 0
    stopped: int = 0
    reconnects: int = 0


class ProjectionRunner:
    """Runs projections on one connection of its own. Start `run` once."""

    def __init__(
        self,
        database: Database,
        projections: Sequence[Projection],
        wakeup: Wakeup,
        *,
        poll_interval_s: float,
        batch_size: int = BATCH,
        signals: Signals | None = None,
        state: State = "running",
    ) -> None:
        self._database = database
        self._projections = tuple(projections)
        self._wakeup = wakeup
        self._poll_interval_s = poll_interval_s
        self._batch_size = batch_size
        self._signals = signals or Signals()
        self._state = state
        self._resting: dict[tuple[str, int], float] = {}
        self._future: int | None = None
        self.failure: str | None = None
        """Why a projection rests, most lately."""
        self.tally = Tally()

    async def run(self) -> NoReturn:
        """Project until cancelled; a lost connection is opened again."""
        pause, longest = BACKOFF_S
        while True:
            batches = self.tally.batches
            try:
                await self._connected()
            except Exception as error:
                _log_lost(error)
            self.tally.reconnects += 1
            progress = self.tally.batches > batches
            pause = BACKOFF_S[0] if progress else min(pause * 2, longest)
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))

    async def catch_up(self, connection: Connection) -> None:
        """Project until nothing is left that this process could take now."""
        while await self._cycle(connection):
            pass

    async def _connected(self) -> NoReturn:
        async with await connect(
            self._database, role="projector", name="projector"
        ) as connection:
            await prepare(connection, self._database, self._projections)
            while True:
                await self.catch_up(connection)
                self._signals.cycled()
                await self._wakeup.wait(self._poll_interval_s)

    async def _cycle(self, connection: Connection) -> bool:
        """One batch for each place where projections stand; whether there is more."""
        now = asyncio.get_running_loop().time()
        groups: dict[int, list[Projection]] = defaultdict(list)
        # anew each time: a rebuild adds versions while this runs, a drop takes some
        for found in await checkpoints.find(
            connection, self._projections, state=self._state
        ):
            if self._resting.get(found.projection.key, 0.0) <= now:
                groups[found.place.position].append(found.projection)
        more = False
        for position, group in groups.items():
            try:
                more |= await self._batch(connection, position, group)
            except CheckpointMoved:
                more = True
        return more

    async def _batch(
        self, connection: Connection, position: int, group: Sequence[Projection]
    ) -> bool:
        async with connection.transaction():
            held = await checkpoints.lock(connection, group)
            found = await checkpoints.read(connection, held, state=self._state)
            found = [each for each in found if each.place.position == position]
            page = await self._read(connection, position, found) if found else None
            if page is None:
                # moved or stopped since the cycle began: look again, for whoever
                # found it locked by us has left it to us
                return bool(held)
            applied = await apply_page(connection, found, page) if page.items else []
            await self._advance(connection, applied)
        self._tell(page, applied)
        return page.full

    async def _read(
        self, connection: Connection, position: int, found: list[Checkpoint]
    ) -> Page | None:
        """The next page; those whose history it is not are stopped and left out."""
        types = frozenset().union(*(each.projection.types for each in found))
        try:
            page = await read_page(connection, position, types, limit=self._batch_size)
        except BrokenLog as error:
            for checkpoint in found:
                await self._stop(connection, checkpoint, error)
            return None
        for checkpoint in tuple(found):
            try:
                check_history(checkpoint, page)
            except BrokenLog as error:
                await self._stop(connection, checkpoint, error)
                found.remove(checkpoint)
        return page if found else None

    async def _advance(self, connection: Connection, applied: list[Applied]) -> None:
        names = [each.checkpoint.projection.name for each in applied]
        await self._signals.applied(names)
        moves = [
            (each.checkpoint, each.end)
            for each in applied
            if each.end != each.checkpoint.place
        ]
        if moves:
            await checkpoints.advance(connection, moves)
        for each in applied:
            if each.stopped:
                await self._stop(connection, each.checkpoint, each.poison[-1])

    async def _stop(
        self, connection: Connection, checkpoint: Checkpoint, error: Fault
    ) -> None:
        await checkpoints.stop(connection, checkpoint.projection, str(error))
        self.tally.stopped += 1
        logger.error(
            "projection stopped",
            extra={"projection": checkpoint.projection.name, "reason": str(error)},
        )

    def _tell(self, page: Page, applied: Sequence[Applied]) -> None:
        """Count and log, once the batch is committed."""
        if page.future is not None:
            self._tell_future(page)
        if not applied:
            return
        self.tally.batches += 1
        self.tally.events += len(page.items)
        self._signals.committed(page.end.position)
        for each in applied:
            if each.failed is not None:
                self._rest(each.checkpoint.projection, each.failed)
            elif not each.stopped:
                self._tell_parked(each.poison)
        logger.debug(
            "batch projected",
            extra={"events": len(page.items), "position": page.end.position},
        )

    def _tell_future(self, page: Page) -> None:
        position = page.end.position + 1
        if self._future == position:
            return
        self._future = position
        logger.warning(
            "waiting for a newer release to take an event",
            extra={"position": position, "reason": str(page.future)},
        )

    def _rest(self, projection: Projection, reason: str) -> None:
        self.failure = reason
        self._resting[projection.key] = asyncio.get_running_loop().time() + REST_S
        logger.error(
            "projection fails, whatever the event; it is tried again",
            extra={"projection": projection.name, "reason": reason},
        )

    def _tell_parked(self, poison: Sequence[Poisoned]) -> None:
        for each in poison:
            self.tally.parked += 1
            logger.error("stream parked", extra=each.fields())


def _log_lost(error: Exception) -> None:
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        logger.warning(
            "projector lost its connection", extra={"reason": describe(error)}
        )
    else:
        # nothing of the error's text: it may hold what a user wrote
        logger.error("projector failed", extra={"reason": describe(error)})
