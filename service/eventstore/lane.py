"""One connection of the appender: opened when first needed, reopened with back-off."""

from __future__ import annotations

import asyncio
import logging
import random

from service.db.pool import Connection, Database, connect
from service.db.sqlstate import sqlstate_of

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.05
"""After one failure; a failover or a killed backend is often over by then."""

LONGEST_PAUSE_S = 1.0
"""How late a lane may notice that the database is back."""


class Lane:
    """Owned by one task; `open` is the only way to a connection."""

    def __init__(self, database: Database, *, name: str) -> None:
        self.name = name
        self._database = database
        self._connection: Connection | None = None
        self._failures = 0

    @property
    def is_open(self) -> bool:
        return self._connection is not None and not self._connection.closed

    async def open(self) -> Connection:
        """The connection; waits as long as the database is away."""
        while True:
            connection = self._connection
            if connection is not None and not connection.closed:
                return connection
            try:
                self._connection = await connect(
                    self._database, role="service", name=self.name
                )
            except Exception as error:
                # whatever it is: a lane that ended would leave its callers waiting
                await self.pause(error)

    async def pause(self, error: Exception) -> None:
        """Give the connection up after `error`, and wait before the next attempt."""
        self._failures += 1
        # one record an outage, not one an attempt
        level = logging.WARNING if self._failures == 1 else logging.DEBUG
        logger.log(
            level,
            "append connection lost",
            extra={
                "lane": self.name,
                "error": type(error).__name__,
                "sqlstate": sqlstate_of(error),
            },
        )
        await self.close()
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures, 10))
        await asyncio.sleep(longest * random.uniform(0.5, 1))

    def worked(self) -> None:
        """A statement came back: the outage, if there was one, is over."""
        if self._failures:
            logger.info(
                "append connection works again",
                extra={"lane": self.name, "attempts": self._failures},
            )
            self._failures = 0

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
