"""A network between service and Postgres that a test can cut, block and make deaf."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from service.db.pool import Database

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Forwards bytes both ways, until it is told otherwise."""

    def __init__(self, database: Database) -> None:
        self._real = database
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._hears = asyncio.Event()
        self._hears.set()
        self.accepts = True
        """Whether new connections are let through, or closed at once."""

    @property
    def database(self) -> Database:
        """The database, by way of this proxy."""
        return replace(self._real, dsn=self._dsn)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self._dsn = make_conninfo(self._real.dsn, host=host, port=port)

    async def stop(self) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def swallow(self) -> asyncio.Event:
        """Keep the server's answers back; the event tells that there was one."""
        self._swallowed = asyncio.Event()
        self._hears.clear()
        return self._swallowed

    def cut(self) -> None:
        """Cut every connection; what was swallowed is lost; new ones work again."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        self._hears.set()

    async def _accept(self, *client: Any) -> None:
        reader, writer = client
        if not self.accepts:
            writer.transport.abort()
            return
        real = conninfo_to_dict(self._real.dsn)
        host, port = str(real["host"]), int(str(real.get("port", 5432)))
        if host.startswith("/"):
            server = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            server = await asyncio.open_connection(host, port)
        self._writers |= {writer, server[1]}
        self._spawn(self._forward((reader, server[1]), deaf=False))
        self._spawn(self._forward((server[0], writer), deaf=True))

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, streams: Streams, *, deaf: bool) -> None:
        reader, writer = streams
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if deaf and not self._hears.is_set():
                    self._swallowed.set()
                    await self._hears.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def proxied(database: Database) -> AsyncIterator[Proxy]:
    """A running proxy in front of the database."""
    proxy = Proxy(database)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
