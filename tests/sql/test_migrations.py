"""Migrations and repeatables: immutable, reversible, safe to start together."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from psycopg.conninfo import make_conninfo

from service.db import migrate as module
from service.db.migrate import SchemaState, migrate, read_sql, roll_back, schema_state
from service.db.pool import Connection, Database, connect
from service.errors import SetupError
from tests.fixtures.servers import Server
from tests.sql.batch import append, rows, value

SQL = Path(__file__).parents[2] / "sql"

MIGRATIONS = sorted(
    file for file in (SQL / "migrations").glob("*.sql") if "rollback" not in file.name
)

CURRENT = SchemaState(pending=(), unknown=(), repeatables=True)

TABLES = """
SELECT schemaname || '.' || tablename FROM pg_tables
WHERE schemaname IN ('es', 'ops', 'platform') AND tablename !~ 'yoyo' ORDER BY 1
"""


@pytest_asyncio.fixture
async def empty(server: Server) -> AsyncIterator[Database]:
    """A database that nobody has migrated."""
    name = f"parley_empty_{secrets.token_hex(4)}"
    admin = await psycopg.AsyncConnection.connect(server.dsn, autocommit=True)
    async with admin:
        await admin.execute(f"CREATE DATABASE {name}".encode())
        yield server.database(name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


# The files.


def test_applied_migration_is_never_edited() -> None:
    """A changed sum: write a new migration. A missing one: add the line shown."""
    kept = (SQL / "migrations.sum").read_text().splitlines()
    sums = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}"
        for file in sorted((SQL / "migrations").glob("*.sql"))
    ]
    assert kept == sums


def test_migrations_are_numbered_and_linked() -> None:
    for number, file in enumerate(MIGRATIONS, start=1):
        assert re.fullmatch(rf"{number:04}\.[a-z][a-z0-9-]+\.sql", file.name)
        first, second = file.read_text().splitlines()[:2]
        if number > 1:
            assert first == f"-- depends: {MIGRATIONS[number - 2].stem}"
        assert second.startswith("-- ")


def test_each_migration_has_its_way_back() -> None:
    for file in MIGRATIONS:
        if "-- irreversible:" not in file.read_text():
            assert file.with_suffix(".rollback.sql").exists(), file.name


def test_migrations_name_no_roles() -> None:
    """Their prefix is not known there; grants are in sql/roles."""
    for file in (SQL / "migrations").glob("*.sql"):
        assert module.with_prefix(file.read_text(), "x") == file.read_text()


def test_read_sql_fills_in_version_and_prefix() -> None:
    text = read_sql("chats", 7, role_prefix="acme")
    assert "read.chats__v7" in text
    assert "acme_service" in text
    assert "{v}" not in text
    assert "parley_service" not in text


def test_prefix_changes_roles_only() -> None:
    text = "GRANT x TO parley_service; NOTIFY parley_log; parley_owners; my.parley_dba"
    assert module.with_prefix(text, "acme") == (
        "GRANT x TO acme_service; NOTIFY parley_log; parley_owners; my.acme_dba"
    )


# Running them.


async def test_migrate_is_idempotent_and_says_what_it_does(empty: Database) -> None:
    async with await connect(empty, role=None, name="test") as connection:
        state = await schema_state(connection)
        assert state.pending == tuple(file.stem for file in MIGRATIONS)
        assert not state.current
        first: list[str] = []
        await migrate(empty, say=first.append)
        assert len(first) == len(MIGRATIONS) + 1
        assert await schema_state(connection) == CURRENT
        second: list[str] = []
        await migrate(empty, say=second.append)
        assert second == []


async def test_replicas_may_start_together(empty: Database) -> None:
    said: list[str] = []
    await asyncio.gather(*(migrate(empty, say=said.append) for _ in range(5)))
    assert said.count(f"applying migration {MIGRATIONS[0].stem}") == 1
    assert said.count("another process is migrating; waiting for it") >= 1
    async with await connect(empty, role="service", name="test") as service:
        assert await schema_state(service) == CURRENT
        assert (await append(service, uuid4(), "a")).outcome == "appended"


async def test_keyword_dsn_works_too(empty: Database) -> None:
    """With a socket folder as host, and options of its own, as a DSN may have."""
    dsn = make_conninfo(empty.dsn, options="-c statement_timeout=60000")
    assert "://" not in dsn
    await migrate(Database(dsn, role_prefix=empty.role_prefix))
    async with await connect(empty, role="service", name="test") as service:
        assert (await schema_state(service)).current


async def test_server_that_is_too_old_is_refused(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_OLDEST_SERVER", 990_000)
    with pytest.raises(SetupError, match="upgrade the server"):
        await migrate(empty)


async def test_database_of_another_encoding_is_refused(
    server: Server, empty: Database
) -> None:
    """Text of any language must fit, and digests must not depend on it."""
    name = f"parley_ascii_{secrets.token_hex(4)}"
    async with await connect(empty, role=None, name="test") as admin:
        await admin.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII'"
            " LOCALE 'C' LOCALE_PROVIDER libc".encode()
        )
        try:
            with pytest.raises(SetupError, match="ENCODING 'UTF8'"):
                await migrate(server.database(name))
        finally:
            await admin.execute(f"DROP DATABASE {name}".encode())


async def test_roll_back_and_forward_again(empty: Database) -> None:
    """One at a time, then all: each step leaves what the migrations before it made."""
    await migrate(empty)
    async with await connect(empty, role="owner", name="test") as owner:
        whole = await rows(owner, TABLES)
        for count in range(1, len(MIGRATIONS) + 1):
            gone = await roll_back(empty, count=count)
            assert gone == [file.stem for file in MIGRATIONS[::-1][:count]]
            state = await schema_state(owner)
            assert state.pending == tuple(f.stem for f in MIGRATIONS[-count:])
            await migrate(empty)
            assert await rows(owner, TABLES) == whole
    async with await connect(empty, role="service", name="test") as service:
        assert (await append(service, uuid4(), "a")).outcome == "appended"
        assert await value(service, "SELECT count(*) FROM platform.organizations") == 1


async def test_migration_and_its_mark_are_one_step(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that fails half-way leaves nothing, and is tried again."""
    await migrate(empty)
    folder = tmp_path / "migrations"
    folder.mkdir()
    for file in (SQL / "migrations").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    broken = folder / "9999.break.sql"
    broken.write_text("CREATE TABLE ops.half (n int);\nSELECT 1 / 0;\n")
    for name in module.REPEATABLE_FOLDERS:
        (tmp_path / name).symlink_to(SQL / name)
    monkeypatch.setattr(module, "_root", lambda: tmp_path)
    with pytest.raises(psycopg.errors.DivisionByZero):
        await migrate(empty)
    async with await connect(empty, role=None, name="test") as connection:
        assert await value(connection, "SELECT to_regclass('ops.half')") is None
        assert (await schema_state(connection)).pending == ("9999.break",)
        broken.write_text("CREATE TABLE ops.half (n int);\n")
        await migrate(empty)
        assert await value(connection, "SELECT to_regclass('ops.half')") is not None


async def test_lock_row_of_a_killed_process_stops_nobody(
    database: Database, admin: Connection
) -> None:
    """yoyo has a lock table of its own; ours is the lock that counts."""
    await admin.execute("INSERT INTO ops.yoyo_lock VALUES (1, now(), 99999)")
    await admin.execute("DELETE FROM ops._yoyo_migration WHERE migration_id ~ '^0003'")
    await admin.execute("DROP TABLE platform.tokens, platform.memberships CASCADE")
    await admin.execute("DROP TABLE platform.organizations, platform.users CASCADE")
    async with asyncio.timeout(30):
        await migrate(database)
    assert await value(admin, "SELECT count(*) FROM ops.yoyo_lock") == 0


# Repeatables.


async def test_edited_function_is_deployed(
    database: Database, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    files = module.repeatables(database.role_prefix)
    extra = (
        "CREATE OR REPLACE FUNCTION es.added() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    )
    monkeypatch.setattr(
        module, "repeatables", lambda prefix: [*files, ("functions/x.sql", extra)]
    )
    await migrate(database, say=said.append)
    assert said == ["applying functions, triggers, views and grants"]
    assert await value(admin, "SELECT es.added()") == 1


async def test_older_release_leaves_newer_repeatables_alone(
    database: Database, admin: Connection
) -> None:
    """In a rolling upgrade an old replica may start again after the new one."""
    await admin.execute("UPDATE ops.repeatables SET release = '99.0', checksum = 'new'")
    said: list[str] = []
    await migrate(database, say=said.append)
    assert said == []
    assert await value(admin, "SELECT checksum FROM ops.repeatables") == "new"
    await admin.execute("UPDATE ops.repeatables SET release = '0.0.1'")
    await migrate(database, say=said.append)
    assert await value(admin, "SELECT checksum FROM ops.repeatables") != "new"


async def test_broken_repeatable_names_its_file_and_changes_nothing(
    database: Database, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await rows(admin, "SELECT * FROM ops.repeatables")
    files = module.repeatables(database.role_prefix)
    monkeypatch.setattr(
        module, "repeatables", lambda prefix: [*files, ("views/x.sql", "CREATE VIEW")]
    )
    with pytest.raises(psycopg.errors.SyntaxError) as caught:
        await migrate(database)
    assert "in sql/views/x.sql" in caught.value.__notes__
    assert await rows(admin, "SELECT * FROM ops.repeatables") == before


async def test_busy_tables_are_waited_for_then_reported(
    database: Database, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DDL gives way to traffic: it asks for its lock again and again, briefly."""
    monkeypatch.setattr(module, "_LOCK_TIMEOUT", "50ms")
    monkeypatch.setattr(module, "_DDL_ATTEMPTS", 3)
    await admin.execute("UPDATE ops.repeatables SET checksum = 'old'")
    said: list[str] = []
    busy = await connect(database, role=None, name="test")
    async with busy, busy.transaction():
        await busy.execute("LOCK TABLE es.events IN ROW EXCLUSIVE MODE")
        with pytest.raises(SetupError, match="pg_locks"):
            await migrate(database, say=said.append)
    assert said.count("tables are busy; trying again") == 3
    await migrate(database)
    assert await value(admin, "SELECT checksum FROM ops.repeatables") != "old"


async def test_grant_that_no_file_gives_is_taken_back(
    database: Database, admin: Connection
) -> None:
    role = database.role("retention")
    await admin.execute(f"GRANT DELETE ON es.events TO {role}".encode())
    await admin.execute("UPDATE ops.repeatables SET checksum = 'old'")
    await migrate(database)
    assert not await value(
        admin, "SELECT has_table_privilege(%s, 'es.events', 'DELETE')", [role]
    )


async def test_newer_migration_does_not_make_an_old_replica_unready(
    database: Database, admin: Connection
) -> None:
    await admin.execute(
        "INSERT INTO ops._yoyo_migration VALUES ('h', '9999.newer', now())"
    )
    state = await schema_state(admin)
    assert state.unknown == ("9999.newer",)
    assert state.current
