"""Follows the log, or one stream of it, over lost connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn
from uuid import UUID

import psycopg

from service.cli.logs import head_position, log_after, stream_after, stream_head
from service.db.pool import Connection, connect
from service.db.source import Databases
from service.eventstore.records import RecordedEvent, StreamName
from service.subscription.listener import LOG_CHANNEL, Listener

POLL_S = 5.0
"""How late an event may be shown when its notification is lost."""

Show = Callable[[RecordedEvent], None]


class LogTail:
    """Where a reader is: a version of one stream, or a position of the log."""

    def __init__(self, chat_id: UUID | None) -> None:
        self._chat_id = chat_id
        self._stream: StreamName | None = None
        self._place = 0

    async def begin(self, connection: Connection, last: int) -> None:
        """Stand before the last events, as many as asked for."""
        if self._chat_id is None:
            end = await head_position(connection)
        else:
            head = await stream_head(connection, self._chat_id)
            self._stream, end = head.stream, head.version
        self._place = max(end - last, 0)

    async def catch_up(self, connection: Connection, show: Show) -> None:
        """Show what there is after the place."""
        pages = (
            log_after(connection, self._place)
            if self._stream is None
            else stream_after(connection, self._stream, self._place)
        )
        async for page in pages:
            for event in page:
                show(event)
                self._place = event.position if self._stream is None else event.version

    async def run(self, databases: Databases, show: Show) -> NoReturn:
        """Show what comes, for ever."""
        listener = Listener(databases.direct.dsn)
        wakeup = listener.wakeup(LOG_CHANNEL)
        listening = asyncio.create_task(listener.run(), name="listener")
        try:
            while True:
                # comes back with the listener's reconnect, or the next tick
                with suppress(psycopg.OperationalError):
                    connection = await connect(databases.main, role=None, name="tail")
                    async with connection:
                        while True:
                            await self.catch_up(connection, show)
                            await wakeup.wait(POLL_S)
                await wakeup.wait(POLL_S)
        finally:
            listening.cancel()
