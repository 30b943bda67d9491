"""One PostgreSQL for all tests of a process: embedded, a container, or a given one.

`PARLEY_TEST_POSTGRES=testcontainers` takes a container (the package testcontainers must
be installed), `PARLEY_TEST_DATABASE_URL` any server, by a URL whose login may create
databases and roles; otherwise the embedded one runs in a folder of the test run.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from service.db.embedded.server import EmbeddedPostgres
from service.db.pool import Database
from service.errors import SetupError

UNSAFE = {
    "fsync": "off",  # a test's data need not survive the machine
    "full_page_writes": "off",
    "shared_buffers": "64MB",
}
"""A killed server still recovers: the kernel has what Postgres wrote."""


@dataclass(frozen=True, slots=True)
class Server:
    """A Postgres that tests may fill with databases. `dsn` is its administrator's."""

    dsn: str
    role_prefix: str = "parley"
    shared: bool = False
    """Others use it too: leave nothing behind."""

    def database(self, name: str) -> Database:
        """The database `name` of this server."""
        parts = urlsplit(self.dsn)
        url = urlunsplit(parts._replace(path=f"/{name}"))
        # urlunsplit drops the empty host of a URL that names a socket folder
        if not parts.netloc:
            url = url.replace(f"{parts.scheme}:/", f"{parts.scheme}:///", 1)
        return Database(dsn=url, role_prefix=self.role_prefix)

    async def create_database(self, name: str) -> Database:
        """Make an empty database."""
        await self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.database(name)

    async def drop_database(self, name: str) -> None:
        """Drop it, whoever is connected to it."""
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        await self._execute(drop.format(sql.Identifier(name)))

    async def drop_roles(self) -> None:
        """Take the run's roles off a server that is not ours."""
        async with await self._connect() as connection:
            found = await connection.execute(
                "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)",
                (f"{self.role_prefix}_",),
            )
            for (role,) in await found.fetchall():
                await connection.execute(
                    sql.SQL("DROP ROLE {}").format(sql.Identifier(role))
                )

    async def _execute(self, statement: sql.Composed) -> None:
        async with await self._connect() as connection:
            await connection.execute(statement)

    async def _connect(self) -> psycopg.AsyncConnection[TupleRow]:
        return await psycopg.AsyncConnection.connect(self.dsn, autocommit=True)


@asynccontextmanager
async def open_server(
    environ: Mapping[str, str], folder: Path
) -> AsyncGenerator[Server, None]:
    """The server that the environment asks for; `folder` is for an embedded one."""
    kind = environ.get("PARLEY_TEST_POSTGRES", "embedded")
    if url := environ.get("PARLEY_TEST_DATABASE_URL"):
        # roles belong to the whole cluster: take names that nobody else has
        yield Server(url, role_prefix=f"t{secrets.token_hex(4)}", shared=True)
    elif kind == "testcontainers":
        with _container() as url:
            yield Server(url)
    elif kind == "embedded":
        async with EmbeddedPostgres(folder, settings=UNSAFE) as postgres:
            yield Server(postgres.dsn)
    else:
        raise SetupError(
            f"PARLEY_TEST_POSTGRES is {kind!r}; expected embedded or testcontainers"
        )


@contextlib.contextmanager
def _container() -> Iterator[str]:
    try:
        from testcontainers.community.postgres import PostgresContainer
    except ImportError as error:
        raise SetupError(
            "PARLEY_TEST_POSTGRES=testcontainers needs the package testcontainers; "
            "install it, or leave the variable out"
        ) from error

    image = PostgresContainer("postgres:18", driver=None)
    options = ("fsync=off", "full_page_writes=off", "max_connections=200")
    image.with_command(" ".join(["postgres", *(f"-c {o}" for o in options)]))
    with image as container:
        yield container.get_connection_url()
