"""Brings the database to the schema of this release; the only user of yoyo and `sql`.

Numbered migrations (tables, data) go through yoyo, each in one transaction with its
mark; then the repeatable files (roles, functions, triggers, views), all in one
transaction, when they differ from what is deployed. One advisory lock: replicas may
start together. Safe to run at every start, before the new code.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import yoyo
from psycopg import sql
from psycopg.errors import DeadlockDetected, LockNotAvailable
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI

import sql as sql_files
from service.db.pool import Connection, Database, connect
from service.db.roles import ROLES, ensure_roles
from service.errors import SetupError

Say = Callable[[str], None]

REPEATABLE_FOLDERS = ("roles", "functions", "triggers", "views")
"""In the order in which they are applied: every file may grant to roles."""

_OLDEST_SERVER = 150_000
"""The oldest release that the tests run on."""

_LOCK_KEY = 0x7061726C6579
"""'parley' as a number; advisory locks belong to one database."""

_LOCK_POLL_S = 0.2
"""Polled, not waited for in the server: a waiting statement holds a snapshot, which
CREATE INDEX CONCURRENTLY in another process's migration would wait for."""

_LOCK_TIMEOUT = "2s"
"""DDL gives way to traffic after this and tries again."""

_DDL_ATTEMPTS = 30
"""One minute of lock time-outs, then a person should look who holds the lock."""

_ROLE_WORD = re.compile(rf"\bparley_(?=(?:{'|'.join(ROLES)})\b)")

_TRY_LOCK = "SELECT pg_try_advisory_lock(%s)"

_TABLE_THERE = "SELECT to_regclass(%s) IS NOT NULL"

_APPLIED = "SELECT migration_id FROM ops._yoyo_migration"

_DEPLOYED = "SELECT checksum, release FROM ops.repeatables"

_RECORD = """
INSERT INTO ops.repeatables (checksum, release) VALUES (%s, %s)
ON CONFLICT (only_row) DO UPDATE SET checksum = excluded.checksum,
  release = excluded.release, applied_at = clock_timestamp()
"""


@dataclass(frozen=True, slots=True)
class SchemaState:
    """Whether this release can work on the database."""

    pending: tuple[str, ...]
    """Migrations of this release that are not applied."""
    unknown: tuple[str, ...]
    """Applied migrations that a newer release brought; harmless by rule."""
    repeatables: bool
    """Functions, triggers, views and grants were applied, by whichever release."""

    @property
    def current(self) -> bool:
        """Ready to serve."""
        return not self.pending and self.repeatables


async def migrate(direct: Database, *, say: Say = lambda _: None) -> None:
    """Set up roles, apply migrations and repeatables; idempotent.

    `direct` leads to the server itself, not to a pooler. Raises SetupError when a
    person must act; the text says what to do.
    """
    async with _locked(direct, say) as connection:
        await _prepare(connection, direct)
        pending = (await schema_state(connection)).pending
        for migration in pending:
            say(f"applying migration {migration}")
        if pending:
            await asyncio.to_thread(_apply, direct)
        await _deploy_repeatables(connection, direct, anew=bool(pending), say=say)


async def roll_back(
    direct: Database, *, count: int, say: Say = lambda _: None
) -> list[str]:
    """Take back the last `count` migrations, newest first; gives their names.

    What they made is gone, data included. `migrate` goes forward again.
    """
    async with _locked(direct, say):
        return await asyncio.to_thread(_roll_back, direct, count)


async def schema_state(connection: Connection) -> SchemaState:
    """Compare the database with this release; service, projector and dba may ask."""
    known = [path.stem for path in _migration_files()]
    applied: list[str] = []
    if await _value(connection, _TABLE_THERE, ["ops._yoyo_migration"]):
        cursor = await connection.execute(_APPLIED)
        applied = [row[0] for row in await cursor.fetchall()]
    return SchemaState(
        pending=tuple(name for name in known if name not in applied),
        unknown=tuple(name for name in sorted(applied) if name not in known),
        repeatables=await _deployed(connection) is not None,
    )


def read_sql(name: str, version: int, *, role_prefix: str = "parley") -> str:
    """The text of sql/read/<name>.sql for one version of its tables."""
    text = with_prefix(_read(_root() / "read" / f"{name}.sql"), role_prefix)
    return text.replace("{v}", str(version))


def with_prefix(text: str, role_prefix: str) -> str:
    """Name the roles of this installation in a SQL file that says parley_service."""
    return _ROLE_WORD.sub(f"{role_prefix}_", text)


def repeatables(role_prefix: str) -> list[tuple[str, str]]:
    """(name, text) of every repeatable file, in the order of application."""
    return [
        (f"{folder}/{path.name}", with_prefix(_read(path), role_prefix))
        for folder in REPEATABLE_FOLDERS
        for path in sorted((_root() / folder).glob("*.sql"))
    ]


@asynccontextmanager
async def _locked(direct: Database, say: Say) -> AsyncIterator[Connection]:
    """A connection that holds the migration lock for as long as it lives."""
    connection = await connect(direct, role=None, name="migrate")
    async with connection:
        if not await _value(connection, _TRY_LOCK, [_LOCK_KEY]):
            say("another process is migrating; waiting for it")
            while not await _value(connection, _TRY_LOCK, [_LOCK_KEY]):  # noqa: ASYNC110
                await asyncio.sleep(_LOCK_POLL_S)
        yield connection


async def _prepare(connection: Connection, direct: Database) -> None:
    """A server that can hold us, roles, and the schema that yoyo's tables are in."""
    if connection.info.server_version < _OLDEST_SERVER:
        raise SetupError("PostgreSQL 15 or newer is needed; upgrade the server")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise SetupError(
            f"the database has the encoding {encoding}; make one with ENCODING 'UTF8'"
        )
    await ensure_roles(connection, direct)
    if await _value(connection, "SELECT to_regnamespace('ops') IS NULL"):
        async with connection.transaction():
            await _become_owner(connection, direct)
            await connection.execute("CREATE SCHEMA ops")


async def _deploy_repeatables(
    connection: Connection, direct: Database, *, anew: bool, say: Say
) -> None:
    """Apply all of them when one differs, or when tables came that need grants."""
    files = repeatables(direct.role_prefix)
    checksum = _checksum(files)
    release = metadata.version("parley")
    deployed = await _deployed(connection)
    if deployed is not None and not anew:
        newer = _order(deployed[1]) > _order(release)
        if newer or deployed[0] == checksum:
            return
    say("applying functions, triggers, views and grants")
    for _ in range(_DDL_ATTEMPTS):
        try:
            async with connection.transaction():
                await _become_owner(connection, direct)
                for name, text in files:
                    await _apply_file(connection, name, text)
                await connection.execute(_RECORD, [checksum, release])
            return
        except (LockNotAvailable, DeadlockDetected):
            say("tables are busy; trying again")
    raise SetupError("no lock on the tables for a minute; see pg_locks for who has it")


async def _apply_file(connection: Connection, name: str, text: str) -> None:
    try:
        await connection.execute(text.encode("ascii"))
    except Exception as error:
        error.add_note(f"in sql/{name}")
        raise


async def _become_owner(connection: Connection, direct: Database) -> None:
    owner = sql.Identifier(direct.role("owner"))
    await connection.execute(sql.SQL("SET LOCAL ROLE {}").format(owner))
    await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")


async def _deployed(connection: Connection) -> tuple[str, str] | None:
    if not await _value(connection, _TABLE_THERE, ["ops.repeatables"]):
        return None
    row = await (await connection.execute(_DEPLOYED)).fetchone()
    return None if row is None else (row[0], row[1])


async def _value(connection: Connection, query: Any, values: Sequence[Any] = ()) -> Any:
    row = await (await connection.execute(query, values)).fetchone()
    return None if row is None else row[0]


def _checksum(files: Sequence[tuple[str, str]]) -> str:
    digest = hashlib.sha256()
    for name, text in files:
        digest.update(f"\0{name}\0{text}".encode())
    return digest.hexdigest()


def _order(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", release)[:3])


def _root() -> Path:
    """The folder of SQL files: in the tree, or where the wheel was installed."""
    return Path(str(resources.files(sql_files)))


def _read(path: Path) -> str:
    """SQL files are ASCII: yoyo reads them in whatever encoding the locale has."""
    return path.read_text(encoding="ascii")


def _migration_files() -> list[Path]:
    files = (_root() / "migrations").glob("*.sql")
    return sorted(file for file in files if not file.match("*.rollback.sql"))


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc] # yoyo is untyped
    """yoyo on our connection string, as the owner, with its tables in schema ops."""

    def __init__(self, direct: Database) -> None:
        self._owner = sql.Identifier(direct.role("owner"))
        self._direct = direct
        arguments = {"conninfo": direct.dsn, "application_name": "parley/yoyo"}
        uri = DatabaseURI("postgresql+psycopg", *[None] * 5, arguments)
        super().__init__(uri, "_yoyo_migration")

    def copy(self) -> _Backend:
        return _Backend(self._direct)

    def init_connection(self, connection: Any) -> None:
        """Called anew after each roll-back, which takes the settings along."""
        connection.execute(sql.SQL("SET ROLE {}").format(self._owner))
        connection.execute("SET search_path TO ops")
        connection.execute(f"SET lock_timeout TO '{_LOCK_TIMEOUT}'")

    def apply_one(self, migration: Any, force: bool = False, mark: bool = True) -> None:
        """A migration and its mark in one transaction, so that none is half done."""
        migration.load()
        if not migration.use_transactions:
            super().apply_one(migration, force, mark)
            return
        with self.transaction():
            self._drop_views()
            migration.process_steps(self, "apply", force=force)
            self.log_migration(migration, "apply")
            self.mark_one(migration, log=False)

    def rollback_one(self, migration: Any, force: bool = False) -> None:
        with self.transaction():
            self._drop_views()
            migration.process_steps(self, "rollback", force=force)
            self.log_migration(migration, "rollback")
            self.unmark_one(migration, log=False)

    def _drop_views(self) -> None:
        """A migration may change what they show; the next deployment makes them anew.

        In the migration's transaction: when it fails, they stay.
        """
        for file in sorted((_root() / "views").glob("*.sql")):
            self.execute(f"DROP VIEW IF EXISTS {file.stem}")

    def get_log_data(self, migration: Any = None, operation: str = "apply") -> Any:
        """yoyo asks the system for a user and a full host name: either may fail."""
        (now,) = self.execute("SELECT now() AT TIME ZONE 'utc'").fetchone()
        return {
            "id": str(uuid.uuid4()),
            "migration_id": migration.id if migration else None,
            "migration_hash": migration.hash if migration else None,
            "username": self.connection.info.user,
            "hostname": socket.gethostname(),
            "created_at_utc": now,
            "operation": operation,
        }


def _apply(direct: Database) -> None:
    with _open(direct) as backend:
        for migration in backend.to_apply(_read_migrations()):
            backend.apply_one(migration)


def _roll_back(direct: Database, count: int) -> list[str]:
    with _open(direct) as backend:
        newest = list(backend.to_rollback(_read_migrations()))[:count]
        for migration in newest:
            backend.rollback_one(migration)
        return [migration.id for migration in newest]


def _open(direct: Database) -> _Backend:
    backend = _Backend(direct)
    backend.init_database()
    # Ours is the lock: a row that a killed process left behind stops nobody.
    backend.break_lock()
    backend.ensure_internal_schema_updated()
    return backend


def _read_migrations() -> Any:
    return yoyo.read_migrations(str(_root() / "migrations"))
