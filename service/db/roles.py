"""The roles of one Parley: made once in a cluster, only when missing.

Roles belong to the cluster, databases to themselves: two databases may be set up at
once, so what a concurrent set-up has made in between is met again and left alone.
A login that may not make roles gets the SQL for somebody who may.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql
from psycopg.errors import (
    DuplicateObject,
    InsufficientPrivilege,
    InternalError_,
    UniqueViolation,
)

from service.db.pool import Connection, Database
from service.errors import SetupError

ROLES = ("owner", "service", "projector", "eraser", "retention", "dba")

LOGIN_ROLES = ("owner", "service", "projector", "retention", "dba")
"""What the migrating login becomes a member of: all but the eraser."""

_SET_OPTION_VERSION = 160_000
"""Since PostgreSQL 16 a member needs the SET option to take a role."""

_ATTEMPTS = 20
"""Set-ups that may collide; each makes progress, a collision costs 50 ms."""

_INSPECT = """
SELECT r.name, p.oid IS NOT NULL,
  coalesce(pg_has_role(current_user, p.oid, %(mode)s), false)
FROM unnest(%(names)s::text[]) AS r (name)
LEFT JOIN pg_roles AS p ON p.rolname = r.name
"""

_OWNER_MAY_CREATE = """
SELECT has_database_privilege(%s, current_database(), 'CREATE')
"""


@dataclass(frozen=True, slots=True)
class _Missing:
    """What still has to be done, as full role names."""

    roles: Sequence[str]
    memberships: Sequence[str]
    create_on_database: bool

    def __bool__(self) -> bool:
        return bool(self.roles or self.memberships or self.create_on_database)


async def ensure_roles(connection: Connection, database: Database) -> None:
    """Make what is missing. Raises SetupError with the SQL where that is forbidden."""
    for _ in range(_ATTEMPTS):
        missing = await _inspect(connection, database)
        if not missing:
            return
        statements = await _statements(connection, database, missing)
        try:
            async with connection.transaction():
                for statement in statements:
                    await connection.execute(statement)
        except (DuplicateObject, UniqueViolation, InternalError_):
            await asyncio.sleep(0.05)
        except InsufficientPrivilege as error:
            raise SetupError(_explain(connection, statements)) from error
    raise SetupError(_explain(connection, statements))


async def _inspect(connection: Connection, database: Database) -> _Missing:
    modern = connection.info.server_version >= _SET_OPTION_VERSION
    names = [database.role(role) for role in ROLES]
    cursor = await connection.execute(
        _INSPECT, {"names": names, "mode": "SET" if modern else "MEMBER"}
    )
    rows = await cursor.fetchall()
    roles = [name for name, exists, _ in rows if not exists]
    owner = database.role("owner")
    wanted = {owner, *roles} & {database.role(role) for role in LOGIN_ROLES}
    memberships = [name for name, _, settable in rows if not settable]
    create = True
    if owner not in roles:
        cursor = await connection.execute(_OWNER_MAY_CREATE, [owner])
        row = await cursor.fetchone()
        create = row is not None and not row[0]
    return _Missing(roles, [name for name in memberships if name in wanted], create)


async def _statements(
    connection: Connection, database: Database, missing: _Missing
) -> list[sql.Composed]:
    cursor = await connection.execute(
        "SELECT current_user, current_database(), rolsuper FROM pg_roles"
        " WHERE rolname = current_user"
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - the login exists, it is asking
    login, name, superuser = row
    owner = sql.Identifier(database.role("owner"))
    made = [_create(role) for role in missing.roles]
    if database.role("eraser") in missing.roles:
        # So that migrations can hand the erasing functions over to it.
        eraser = sql.Identifier(database.role("eraser"))
        made.append(sql.SQL("GRANT {} TO {}").format(eraser, owner))
    if missing.memberships and not superuser:
        names = sql.SQL(", ").join(map(sql.Identifier, missing.memberships))
        made.append(sql.SQL("GRANT {} TO {}").format(names, sql.Identifier(login)))
    if missing.create_on_database:
        grant = sql.SQL("GRANT CREATE ON DATABASE {} TO {}")
        made.append(grant.format(sql.Identifier(name), owner))
    return made


def _create(role: str) -> sql.Composed:
    return sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role))


def _explain(connection: Connection, statements: Sequence[sql.Composed]) -> str:
    text = "\n".join(f"{statement.as_string(connection)};" for statement in statements)
    return (
        f"the login {connection.info.user!r} may not set up the roles of Parley; "
        f"run this as an administrator of the cluster, then start again:\n{text}"
    )
