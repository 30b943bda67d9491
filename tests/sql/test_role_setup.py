"""How roles come into being: by whom, once, and what happens where it is forbidden."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
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

RUN = f"x{secrets.token_hex(3)}"
"""Begins every prefix of this process: others may test on the same server."""

MADE_DATABASES = "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"

MADE_ROLES = "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)"


@pytest_asyncio.fixture
async def cluster(server: Server) -> AsyncIterator[Connection]:
    """The server's administrator; drops what the test made, by its prefix."""
    connection = await psycopg.AsyncConnection.connect(server.dsn, autocommit=True)
    async with connection:
        yield connection
        for (name,) in await rows(connection, MADE_DATABASES, [RUN]):
            drop = sql.SQL("DROP DATABASE {}").format(sql.Identifier(name))
            await connection.execute(drop)
        made = [name for (name,) in await rows(connection, MADE_ROLES, [RUN])]
        logins = [name for name in made if name.endswith("_login")]
        await _drop_roles(connection, [n for n in made if n not in logins], logins)
        await _drop_roles(connection, logins, [])


async def _drop_roles(
    connection: Connection, names: Sequence[str], makers: Sequence[str]
) -> None:
    """Drop them at once, for they are members of each other; else as their maker."""
    drop = sql.SQL("DROP ROLE {}").format(
        sql.SQL(", ").join(map(sql.Identifier, names))
    )
    if not names:
        return
    try:
        await connection.execute(drop)
    except InsufficientPrivilege:
        for maker in makers:
            await connection.execute(f"SET ROLE {maker}".encode())
            with suppress(InsufficientPrivilege):
                await connection.execute(drop)
            await connection.execute("RESET ROLE")


async def make_database(
    cluster: Connection, server: Server, prefix: str, *options: str
) -> Database:
    """An empty database that belongs to a new login with these options."""
    login = f"{prefix}_login"
    await cluster.execute(
        f"CREATE ROLE {login} LOGIN PASSWORD 'secret' {' '.join(options)}".encode()
    )
    # whoever is no superuser may give a database only to a role that it can take
    await cluster.execute(f"GRANT {login} TO CURRENT_USER".encode())
    await cluster.execute(f"CREATE DATABASE {prefix}_db OWNER {login}".encode())
    dsn = make_conninfo(
        server.database(f"{prefix}_db").dsn, user=login, password="secret"
    )
    return Database(dsn, role_prefix=prefix)


def new_prefix() -> str:
    return f"{RUN}{secrets.token_hex(2)}"


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


async def test_database_of_somebody_else_needs_a_grant(
    cluster: Connection, server: Server
) -> None:
    """A member of the roles, in a database where nobody let the owner make schemas."""
    prefix = new_prefix()
    await migrate(await make_database(cluster, server, prefix, "CREATEROLE"))
    name = f"{prefix}_other"
    await cluster.execute(f"CREATE DATABASE {name}".encode())
    login = server.database(name)
    dsn = make_conninfo(login.dsn, user=f"{prefix}_login", password="secret")
    with pytest.raises(SetupError) as caught:
        await migrate(Database(dsn, role_prefix=prefix))
    told = str(caught.value).partition(":\n")[2]
    assert told == f'GRANT CREATE ON DATABASE "{name}" TO "{prefix}_owner";'
    await cluster.execute(told.encode())
    await migrate(Database(dsn, role_prefix=prefix))


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
