"""A PostgreSQL of the benchmark's own, durable as in production, and fresh databases.

Its settings are those that the service gives its embedded server: fsync and synchronous
commit are on, and the report says so.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from service.db.embedded.server import EmbeddedPostgres
from service.db.migrate import migrate
from service.db.pool import Database

TEMPLATE = "parley_bench_template"

DURABILITY = """
SELECT name, setting FROM pg_settings
WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'server_version')
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server with a migrated template."""

    dsn: str
    pid: int
    durability: dict[str, Any]

    def database(self, name: str) -> Database:
        """One of its databases."""
        path = urlsplit(self.dsn).path
        return Database(self.dsn.replace(f"@{path}", f"@/{name}", 1))

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[Database]:
        """An empty migrated database, dropped afterwards."""
        name = f"parley_bench_{secrets.token_hex(4)}"
        await self._execute("CREATE DATABASE {} TEMPLATE {}", name, TEMPLATE)
        try:
            yield self.database(name)
        finally:
            await self._execute("DROP DATABASE {} WITH (FORCE)", name)

    async def _execute(self, statement: str, *names: str) -> None:
        async with await psycopg.AsyncConnection.connect(
            self.dsn, autocommit=True
        ) as connection:
            await connection.execute(
                sql.SQL(statement).format(*map(sql.Identifier, names))
            )


@asynccontextmanager
async def server(say: Callable[[str], None]) -> AsyncIterator[Server]:
    """Start it in a folder of its own; stop it and remove the folder at the end."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        async with EmbeddedPostgres(Path(folder) / "data", say=say) as postgres:
            durability = await _durability(postgres.dsn)
            started = Server(postgres.dsn, postgres.pid or 0, durability)
            await started._execute("CREATE DATABASE {}", TEMPLATE)
            await migrate(started.database(TEMPLATE))
            yield started


async def _durability(dsn: str) -> dict[str, Any]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        cursor = await connection.execute(DURABILITY)
        return dict(await cursor.fetchall())
