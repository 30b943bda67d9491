"""Who owns what, who may do what, and how roles come into being."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.errors import InsufficientPrivilege

from service.db.migrate import migrate
from service.db.pool import Connection, Database, connect
from service.db.roles import LOGIN_ROLES, ROLES
from service.errors import SetupError
from tests.fixtures.servers import Server
from tests.sql.batch import append, rows, value
from tests.sql.conftest import Open

SCHEMAS = ["es", "read", "ops", "platform"]

OWNERS = """
SELECT DISTINCT pg_get_userbyid(owner) FROM (
  SELECT relowner FROM pg_class WHERE relnamespace::regnamespace::text = ANY (%(in)s)
  UNION ALL
  SELECT proowner FROM pg_proc WHERE pronamespace::regnamespace::text = ANY (%(in)s)
  UNION ALL
  SELECT nspowner FROM pg_namespace WHERE nspname = ANY (%(in)s)
) AS owned (owner)
"""

PUBLIC = """
SELECT p.oid::regprocedure::text
FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
WHERE p.pronamespace::regnamespace::text = ANY (%(in)s) AND a.grantee = 0
"""

EXECUTES = """
SELECT p.proname FROM pg_proc AS p
WHERE p.pronamespace::regnamespace::text = ANY (%(in)s)
  AND has_function_privilege(%(role)s, p.oid, 'EXECUTE')
ORDER BY 1
"""

READS = ["find_request", "read_log", "read_stream"]
CHECKS = ["chain", "chain_next", "payload_hash", "verify", "verify_positions"]

MAY_EXECUTE = {
    "service": sorted(["append", *READS, *CHECKS]),
    "projector": ["read_log", "read_stream"],
    "eraser": [],
    "retention": [],
    "dba": sorted([*READS, *CHECKS]),
}

ALLOWED = {
    "service": [
        "SELECT * FROM es.events",
        "INSERT INTO es.live_parts VALUES (gen_random_uuid(), 1, 1, 1, '{}')",
        "DELETE FROM es.live_parts",
        "INSERT INTO ops.leases VALUES (gen_random_uuid(), 'w', 1)",
        "UPDATE ops.leases SET term = term + 1",
        "SELECT * FROM ops.projection_lag",
        "INSERT INTO platform.users VALUES (gen_random_uuid(), 'u')",
    ],
    "projector": [
        "SELECT * FROM es.events",
        "CREATE TABLE read.things__v1 (id int)",
        "INSERT INTO ops.checkpoints (projection, version) VALUES ('p', 1)",
        "UPDATE ops.checkpoints SET position = 1",
        "SELECT * FROM ops.projection_lag",
    ],
    "retention": ["SELECT * FROM es.events"],
    "dba": [
        "SELECT * FROM es.events",
        "SELECT * FROM es.live_parts",
        "SELECT * FROM ops.log_overview",
        "SELECT * FROM ops.lease_overview",
        "SELECT * FROM ops.projection_lag",
        "SELECT * FROM ops.applied_migrations",
        "SELECT * FROM platform.users",
        "SELECT * FROM es.verify_positions(1, 10)",
        "SELECT * FROM es.verify('chat', gen_random_uuid())",
    ],
    "eraser": [
        "SELECT * FROM es.events",
        "SELECT 1 FROM es.head FOR UPDATE",
        "UPDATE es.events SET type = 'erased'",
        "DELETE FROM es.live_parts",
    ],
}

LOG_CHANGES = [
    "INSERT INTO es.events SELECT * FROM es.events",
    "UPDATE es.events SET type = 'x'",
    "DELETE FROM es.events",
    "TRUNCATE es.events",
    "UPDATE es.head SET only_row = true",
    "SELECT 1 FROM es.head FOR UPDATE",
    "ALTER TABLE es.events DISABLE TRIGGER ALL",
    "CREATE TABLE es.mine (n int)",
]

FORBIDDEN = {
    "service": [
        *LOG_CHANGES,
        "CREATE TABLE read.things (n int)",
        "UPDATE ops.checkpoints SET position = 1",
        "UPDATE ops.repeatables SET checksum = ''",
    ],
    "projector": [
        *LOG_CHANGES,
        "SELECT * FROM platform.tokens",
        "DELETE FROM ops.leases",
        "SELECT * FROM es.live_parts",
    ],
    "retention": [*LOG_CHANGES, "SELECT * FROM platform.tokens"],
    "dba": [
        *LOG_CHANGES,
        "DELETE FROM es.live_parts",
        "DELETE FROM ops.leases",
        "INSERT INTO platform.users VALUES (gen_random_uuid(), 'u')",
    ],
    "eraser": [
        "INSERT INTO es.events SELECT * FROM es.events",
        "DELETE FROM es.events",
        "TRUNCATE es.events",
        "ALTER TABLE es.events DISABLE TRIGGER ALL",
        "SELECT * FROM platform.users",
    ],
}


async def test_owner_owns_everything(admin: Connection, database: Database) -> None:
    assert await rows(admin, OWNERS, {"in": SCHEMAS}) == [(database.role("owner"),)]


async def test_public_may_execute_nothing(admin: Connection) -> None:
    assert await rows(admin, PUBLIC, {"in": SCHEMAS}) == []


@pytest.mark.parametrize("role", MAY_EXECUTE)
async def test_role_executes_functions_by_name(
    admin: Connection, database: Database, role: str
) -> None:
    found = await rows(admin, EXECUTES, {"in": SCHEMAS, "role": database.role(role)})
    assert [name for (name,) in found] == MAY_EXECUTE[role]


async def test_append_runs_as_the_owner(admin: Connection) -> None:
    assert await rows(
        admin, "SELECT DISTINCT proname FROM pg_proc WHERE prosecdef"
    ) == [("append",)]


@pytest.mark.parametrize("role", ALLOWED)
async def test_role_may(service: Connection, open_as: Open, role: str) -> None:
    await append(service, uuid4(), "a")
    connection = await open_as(role)
    for statement in ALLOWED[role]:
        await connection.execute(statement.encode())


@pytest.mark.parametrize("role", FORBIDDEN)
async def test_role_may_not(service: Connection, open_as: Open, role: str) -> None:
    await append(service, uuid4(), "a")
    connection = await open_as(role)
    for statement in FORBIDDEN[role]:
        with pytest.raises(InsufficientPrivilege):
            await connection.execute(statement.encode())
    assert await value(service, "SELECT count(*) FROM es.events") == 1


# How roles are made.

MADE_DATABASES = "SELECT datname FROM pg_database WHERE datname ~ '^x[0-9a-f]{8}_'"

MADE_ROLES = "SELECT rolname FROM pg_roles WHERE rolname ~ '^x[0-9a-f]{8}_'"


@pytest_asyncio.fixture
async def cluster(server: Server) -> AsyncIterator[Connection]:
    """The server's administrator; drops what the test made, by its prefix."""
    connection = await psycopg.AsyncConnection.connect(server.dsn, autocommit=True)
    async with connection:
        yield connection
        for (name,) in await rows(connection, MADE_DATABASES):
            drop = sql.SQL("DROP DATABASE {}").format(sql.Identifier(name))
            await connection.execute(drop)
        # at once, for they are members of each other
        roles = [sql.Identifier(name) for (name,) in await rows(connection, MADE_ROLES)]
        await connection.execute(
            sql.SQL("DROP ROLE {}").format(sql.SQL(",").join(roles))
        )


async def make_database(
    cluster: Connection, server: Server, prefix: str, *options: str
) -> Database:
    """An empty database that belongs to a new login with these options."""
    login = f"{prefix}_login"
    await cluster.execute(
        f"CREATE ROLE {login} LOGIN PASSWORD 'secret' {' '.join(options)}".encode()
    )
    if not await value(cluster, "SELECT pg_has_role(%s, 'MEMBER')", [login]):
        await cluster.execute(f"GRANT {login} TO CURRENT_USER".encode())
    await cluster.execute(f"CREATE DATABASE {prefix}_db OWNER {login}".encode())
    dsn = make_conninfo(
        server.database(f"{prefix}_db").dsn, user=login, password="secret"
    )
    return Database(dsn, role_prefix=prefix)


def new_prefix() -> str:
    return f"x{secrets.token_hex(4)}"


async def test_login_that_may_create_roles_sets_all_up(
    cluster: Connection, server: Server
) -> None:
    """No superuser: what a managed server gives. It becomes a member of the roles."""
    database = await make_database(cluster, server, new_prefix(), "CREATEROLE")
    await migrate(database)
    await migrate(database)
    for role in LOGIN_ROLES:
        async with await connect(database, role=role, name="test") as connection:
            assert await value(connection, "SELECT current_user") == database.role(role)
    async with await connect(database, role="service", name="test") as service:
        assert (await append(service, uuid4(), "a")).outcome == "appended"


async def test_login_without_createrole_gets_sql_for_the_administrator(
    cluster: Connection, server: Server
) -> None:
    """And after the administrator ran it, the same login sets all up."""
    database = await make_database(cluster, server, new_prefix())
    with pytest.raises(SetupError, match="may not set up the roles") as caught:
        await migrate(database)
    told = str(caught.value)
    for role in ROLES:
        assert f'CREATE ROLE "{database.role(role)}" NOLOGIN;' in told
    await cluster.execute(told.partition(":\n")[2].encode())
    await migrate(database)
    async with await connect(database, role="service", name="test") as service:
        assert (await append(service, uuid4(), "a")).outcome == "appended"


async def test_login_that_is_no_member_is_told_so(
    cluster: Connection, server: Server
) -> None:
    """The roles are there, made for another database of the cluster."""
    prefix = new_prefix()
    first = await make_database(cluster, server, prefix, "CREATEROLE")
    await migrate(first)
    other = await make_database(cluster, server, new_prefix())
    stranger = Database(other.dsn, role_prefix=prefix)
    with pytest.raises(SetupError, match=f'GRANT "{prefix}_owner"'):
        await migrate(stranger)


async def test_prefix_names_the_roles(cluster: Connection, server: Server) -> None:
    """Also inside functions: the eraser's trigger compares with its name."""
    prefix = new_prefix()
    database = await make_database(cluster, server, prefix, "CREATEROLE")
    await migrate(database)
    async with await connect(database, role="owner", name="test") as owner:
        bodies = await rows(
            owner,
            "SELECT string_agg(prosrc, '') FROM pg_proc"
            " WHERE pronamespace = 'es'::regnamespace",
        )
        assert f"'{prefix}_eraser'" in bodies[0][0]
        assert "parley_eraser" not in bodies[0][0]
        assert "'parley_log'" in bodies[0][0]


async def test_databases_of_one_cluster_may_be_set_up_at_once(
    cluster: Connection, server: Server
) -> None:
    """Roles belong to the cluster: each set-up meets what the others make."""
    prefix = new_prefix()
    for number in range(4):
        await cluster.execute(f"CREATE DATABASE {prefix}_{number}".encode())
    databases = [
        Database(server.database(f"{prefix}_{n}").dsn, role_prefix=prefix)
        for n in range(4)
    ]
    await asyncio.gather(*map(migrate, databases))
    for database in databases:
        async with await connect(database, role="service", name="test") as service:
            assert (await append(service, uuid4(), "a")).outcome == "appended"
