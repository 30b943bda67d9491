"""Connections to Postgres: one way to open them, one pool for requests.

Every connection is autocommit; a transaction is opened where it is needed. Direct
connections take their role with SET ROLE; behind a transaction pooler nothing may be
set on a session, so `pooled` leaves role, options and prepared statements alone.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from service import wire
from service.db.cancel import honour_cancellation
from service.db.counting import CountedCursor
from service.db.guard import Guard
from service.db.sqlstate import is_connection_lost
from service.errors import DatabaseAway

Connection = psycopg.AsyncConnection[TupleRow]

IDLE_IN_TRANSACTION_MS = 10_000
"""Our transactions wait for nothing: 10 s idle is a bug, and Postgres ends it."""

ACQUIRE_TIMEOUT_S = 10.0
"""A request that gets no connection for so long is told to come back."""

_KEEPALIVES: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # what keepalives do not see: sent, but never acknowledged
    "tcp_user_timeout": 25_000,
    "connect_timeout": 10,
}


@dataclass(frozen=True, slots=True)
class Database:
    """Where the database is and as whom to work there."""

    dsn: str
    role_prefix: str = "parley"
    pooled: bool = False
    """Behind a transaction pooler: no session state may be set."""
    statements: Counter[str] = field(default_factory=Counter, compare=False, repr=False)
    """Sent since the process started, by what a connection is for; for metrics."""

    def role(self, name: str) -> str:
        """The full name of a role: `service` is `parley_service` by default."""
        return f"{self.role_prefix}_{name}"


async def connect(database: Database, *, role: str | None, name: str) -> Connection:
    """Open one autocommit connection. `role` is `service`, `projector`, ... or None.

    `name` shows as application_name `parley/<name>` in pg_stat_activity.
    Raises psycopg.OperationalError when the server cannot be reached.
    """
    making = asyncio.create_task(
        psycopg.AsyncConnection.connect(
            database.dsn,
            autocommit=True,
            application_name=f"parley/{name}",
            cursor_factory=_counted(database, name),
            **_session_options(database),
            **_KEEPALIVES,
        ),
        name=f"connect {name}",
    )
    try:
        connection: Connection = await asyncio.shield(making)
    except asyncio.CancelledError:
        # cancelled half-way it would stay open, and the server would wait for a minute
        with suppress(psycopg.Error):
            await (await making).close()
        raise
    try:
        await configure(connection, database, role)
    except BaseException:
        # cancelled too: nobody else could close it
        await connection.close()
        raise
    return connection


async def configure(
    connection: Connection, database: Database, role: str | None
) -> None:
    """Set up codec, and on a direct connection the role."""
    set_json_codec(connection)
    if database.pooled:
        connection.prepare_threshold = None
    elif role is not None:
        await connection.execute(
            sql.SQL("SET ROLE {}").format(sql.Identifier(database.role(role)))
        )


def set_json_codec(connection: psycopg.AsyncConnection[Any]) -> None:
    """jsonb comes out decoded by service.wire, and goes in the same way."""
    set_json_dumps(wire.dumps, connection)
    set_json_loads(wire.loads, connection)


class Pool:
    """The request pool. Hold a connection for one statement or a short transaction."""

    def __init__(
        self, database: Database, *, guard: Guard, size: int, role: str = "service"
    ) -> None:
        self.guard = guard
        self.in_use = 0
        """Connections that requests hold."""
        self.most_in_use = 0
        """The most of them at a time since the start."""
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            database.dsn,
            min_size=min(2, size),
            max_size=size,
            open=False,
            name=f"parley-{role}",
            timeout=ACQUIRE_TIMEOUT_S,
            check=AsyncConnectionPool.check_connection,
            configure=lambda c: configure(c, database, role),
            kwargs={
                "autocommit": True,
                "application_name": f"parley/{role}",
                "cursor_factory": _counted(database, role),
                **_session_options(database),
                **_KEEPALIVES,
            },
        )

    async def __aenter__(self) -> Pool:
        await self._pool.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """An autocommit connection; the guard watches what is awaited meanwhile.

        Raises psycopg_pool.PoolTimeout when none is free in time.
        """
        with self.guard.holding("a pooled connection"):
            async with self._pool.connection() as connection:
                self.in_use += 1
                self.most_in_use = max(self.most_in_use, self.in_use)
                try:
                    honour_cancellation()
                    yield connection
                finally:
                    self.in_use -= 1

    @asynccontextmanager
    async def reachable(self) -> AsyncIterator[Connection]:
        """The same; DatabaseAway when none is free in time, or it breaks."""
        try:
            async with self.connection() as connection:
                yield connection
        except PoolTimeout as error:
            raise DatabaseAway("no connection was free in time") from error
        except psycopg.Error as error:
            if is_connection_lost(error):
                raise DatabaseAway("the connection was lost") from error
            raise

    @property
    def waits(self) -> int:
        """Requests that found no connection free, and waited."""
        return int(self._pool.get_stats().get("requests_queued", 0))

    @property
    def wait_seconds(self) -> float:
        """How long they waited, all together."""
        return float(self._pool.get_stats().get("requests_wait_ms", 0)) / 1000

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in one transaction, committed at the end."""
        async with self.connection() as connection, connection.transaction():
            yield connection


def _counted(database: Database, purpose: str) -> Any:
    """Makes cursors that count; psycopg types only classes as a cursor factory."""
    return partial(CountedCursor, database.statements, purpose)


def _session_options(database: Database) -> dict[str, Any]:
    if database.pooled:
        return {}
    return {
        "options": f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_MS}"
    }
