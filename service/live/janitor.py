"""Removes live parts that nobody reads any more.

An episode is over when the log says so: its attempt was committed or failed, another
attempt began, or the turn ended. It goes 15 s later, when every follower has had the
time to see that. An episode that the log never ends (its chat came from a backup, or
waits for a worker that never comes) goes by age. Read models are never asked.

Several replicas may sweep: a lock within the statement lets one of them do it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import timedelta
from typing import NoReturn

import psycopg

from service.db.pool import Connection, Database, connect

logger = logging.getLogger(__name__)

INTERVAL = timedelta(seconds=30)
"""Between sweeps: rows live for a minute at most, so the table stays small."""

KEEP = timedelta(seconds=15)
"""After the end of an episode: three times the poll tick of a follower's process."""

DEAD = timedelta(days=1)
"""Without a new part; longer than any model call or tool is let to run."""

SWEEP_LOCK = 0x7061726C_6C697665
"""Advisory lock of the sweep: `parllive` in ASCII."""

ENDS = (
    "message_appended",
    "step_committed",
    "retry_scheduled",
    "turn_finished",
    "turn_failed",
    "interruption_finished",
    "stream_purged",
)
"""After its epoch, the first of these ends an episode; so does a later attempt. A purge
takes the parts along; a worker may flush some more before it hears of it."""

SWEEP = """
DELETE FROM es.live_parts AS p USING (
  SELECT l.chat_id, l.epoch, l.attempt FROM es.live_parts AS l
  WHERE (SELECT pg_try_advisory_xact_lock(%(lock)s))
  GROUP BY l.chat_id, l.epoch, l.attempt
  HAVING max(l.at) < clock_timestamp() - %(dead)s::interval OR EXISTS (
    SELECT FROM es.events AS e
    WHERE e.stream_id = l.chat_id AND e.version > l.epoch
      AND e.recorded_at < clock_timestamp() - %(keep)s::interval
      AND (e.type = ANY (%(ends)s) OR e.type = 'generation_attempt_started'
        AND (e.data ->> 'attempt')::int > l.attempt))
) AS over
WHERE (p.chat_id, p.epoch, p.attempt) = (over.chat_id, over.epoch, over.attempt)
"""


class Janitor:
    """Sweeps on a connection of its own."""

    def __init__(
        self,
        database: Database,
        *,
        interval: timedelta = INTERVAL,
        keep: timedelta = KEEP,
        dead: timedelta = DEAD,
        on_swept: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._interval_s = interval.total_seconds()
        self._parameters = {
            "lock": SWEEP_LOCK,
            "keep": keep,
            "dead": dead,
            "ends": list(ENDS),
        }
        self._on_swept = on_swept
        self.removed = 0
        """Rows removed by this process since its start."""

    async def run(self) -> NoReturn:
        """Sweep for ever; a lost connection is opened again. Raises CancelledError."""
        while True:
            try:
                async with await connect(
                    self._database, role="service", name="janitor"
                ) as connection:
                    while True:
                        await self.sweep(connection)
                        await self._rest()
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                logger.warning("janitor cannot sweep", extra={"reason": str(error)})
                await self._rest()

    async def sweep(self, connection: Connection) -> int:
        """Remove what is over; gives the number of rows. 0 while another one sweeps."""
        cursor = await connection.execute(SWEEP, self._parameters)
        self.removed += cursor.rowcount
        self._on_swept(cursor.rowcount)
        return cursor.rowcount

    async def _rest(self) -> None:
        # replicas that start together do not sweep together
        await asyncio.sleep(self._interval_s * random.uniform(0.9, 1.1))
