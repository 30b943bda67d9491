"""`parley serve --json` as a process of its own, on a free port."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
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


@dataclass
class Served:
    """A running service."""

    process: asyncio.subprocess.Process
    ready: dict[str, Any]
    log: Path
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
            return await self.process.wait()


Serve = Callable[..., Any]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """`async with serve(...) as served`: arguments go to the command line.

    Settings go in as keywords: `database_url=...` is PARLEY_DATABASE_URL.
    """
    started = 0

    @asynccontextmanager
    async def run(*arguments: str, **settings: str) -> AsyncIterator[Served]:
        nonlocal started
        started += 1
        log = tmp_path / f"serve-{started}.log"
        environ = {f"PARLEY_{k.upper()}": v for k, v in settings.items()}
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                str(PARLEY), "serve", "--port", "0", "--json", *arguments,
                env=dict(os.environ) | environ,  # noqa: TID251  PATH and HOME
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
            )  # fmt: skip
        try:
            yield Served(process, await _ready(process, log), log)
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.terminate()
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            # the transport of the pipe outlives the process otherwise
            assert process.stdout is not None
            await process.stdout.read()

    return run


async def _ready(process: asyncio.subprocess.Process, log: Path) -> dict[str, Any]:
    assert process.stdout is not None
    async with asyncio.timeout(START_S):
        line = await process.stdout.readline()
    assert line, f"it did not start:\n{log.read_text()}"
    ready: dict[str, Any] = wire.loads(line)
    return ready


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
