"""`parley serve --json` as a process of its own, on a free port."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from service import wire
from service.client.client import Client
from service.db.pool import Database
from tests.fixtures.servers import Server

PARLEY = Path(sys.executable).with_name("parley")
START_S = 60.0
"""A first start makes a cluster; on a busy machine that takes a while."""
STOP_S = 40.0


class Log:
    """What the process writes to standard error, line by line."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._lines: list[str] = []
        self._grew = asyncio.Condition()
        self._reading = asyncio.create_task(self._read(stream))

    async def has(self, text: str) -> None:
        """Wait until it says this."""
        async with asyncio.timeout(STOP_S), self._grew:
            await self._grew.wait_for(lambda: text in self._text)

    async def whole(self) -> str:
        """All of it; waits for the end of the process."""
        async with asyncio.timeout(STOP_S):
            await self._reading
        return self._text

    @property
    def lines(self) -> list[str]:
        """What it has said so far."""
        return list(self._lines)

    @property
    def _text(self) -> str:
        return "".join(self._lines)

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            async with self._grew:
                self._lines.append(line.decode())
                self._grew.notify_all()


@dataclass
class Served:
    """A running service."""

    process: asyncio.subprocess.Process
    ready: dict[str, Any]
    log: Log
    rest: bytes = field(default=b"")
    """Standard output after the ready line; empty, or the test fails."""

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    @property
    def token(self) -> str:
        return str(self.ready["token"])

    def client(self, token: str | None = None) -> Client:
        return Client(self.url, token or self.token)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; gives its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        assert self.process.stdout is not None
        async with asyncio.timeout(STOP_S):
            self.rest += await self.process.stdout.read()
            await self.log.whole()
            return await self.process.wait()


Serve = Callable[..., Any]


@pytest.fixture
def serve() -> Serve:
    """`async with serve(...) as served`: arguments go to the command line.

    Settings go in as keywords: `database_url=...` is PARLEY_DATABASE_URL. `program`
    takes the place of this release's `parley`.
    """

    @asynccontextmanager
    async def run(
        *arguments: str, program: tuple[str, ...] = (str(PARLEY),), **settings: str
    ) -> AsyncIterator[Served]:
        environ = {f"PARLEY_{k.upper()}": v for k, v in settings.items()}
        process = await asyncio.create_subprocess_exec(
            *program, "serve", "--port", "0", "--json", *arguments,
            env=dict(os.environ) | environ,  # noqa: TID251  PATH and HOME
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        log = Log(process.stderr)
        try:
            async with asyncio.timeout(START_S):
                line = await process.stdout.readline()
            assert line, f"it did not start:\n{await log.whole()}"
            served = Served(process, wire.loads(line), log)
            yield served
        finally:
            if process.returncode is None:
                process.terminate()
            # reads both pipes to their ends, which their transports wait for
            await Served(process, {}, log).ended()

    return run


@pytest.fixture
def on_database(database: Database) -> dict[str, str]:
    """Settings that lead a service to the test's own database."""
    return {"database_url": database.dsn, "role_prefix": database.role_prefix}


@pytest_asyncio.fixture
async def empty_database(server: Server) -> AsyncIterator[str]:
    """The DSN of a database without a schema."""
    name = f"parley_empty_{secrets.token_hex(6)}"
    async with await psycopg.AsyncConnection.connect(
        server.dsn, autocommit=True
    ) as connection:
        create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        await connection.execute(create)
        yield server.database(name).dsn
        drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        await connection.execute(drop)
