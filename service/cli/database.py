"""The database of the settings, for commands that need no running service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from psycopg.errors import CheckViolation, ForeignKeyViolation, UniqueViolation

from service.cli.options import data_dir_of, read_settings, run, set_up_logs
from service.db.migrate import schema_state
from service.db.pool import Connection, connect
from service.db.source import open_database
from service.errors import SetupError
from service.platform.audit import audited
from service.platform.secrets import SecretBox, open_secrets
from service.platform.users import FIRST_USER_NAME, ensure_first_user, find_user

Result = TypeVar("Result")

ACTOR = "cli"
"""Whom the log names for what these commands change."""


def with_database(
    work: Callable[[Connection], Awaitable[Result]],
    data_dir: Path | None,
    *,
    name: str,
) -> Result:
    """Run on one connection, also while a service uses the database."""
    settings = read_settings(data_dir=data_dir)
    set_up_logs(settings)

    async def go() -> Result:
        async with open_database(
            settings, data_dir_of(settings), beside_service=True
        ) as databases:
            connection = await connect(databases.main, role=None, name=name)
            async with connection:
                if not (await schema_state(connection)).current:
                    raise SetupError("the schema is not current; run `parley migrate`")
                return await work(connection)

    return run(go())


def change_platform(
    work: Callable[[Connection], Awaitable[Result]], data_dir: Path | None
) -> Result:
    """Run in one transaction that the log ascribes to the command line.

    What the database refuses is a SetupError.
    """

    async def go(connection: Connection) -> Result:
        async with audited(connection, actor=ACTOR):
            return await work(connection)

    try:
        return with_database(go, data_dir, name="platform")
    except UniqueViolation as error:
        raise SetupError("there is one of that name already") from error
    except (CheckViolation, ForeignKeyViolation) as error:
        # the constraint, not the detail: that shows the row, secrets and all
        rule = error.diag.constraint_name
        raise SetupError(f"the database refuses this: {rule}") from error


def secrets_of(data_dir: Path | None) -> SecretBox:
    """The keys of the settings, or of the data folder."""
    settings = read_settings(data_dir=data_dir)
    return open_secrets(settings.secret_key, data_dir_of(settings))


async def user_id_of(connection: Connection, name: str) -> UUID:
    """The one user with this name; the first user is made when it is not there."""
    if name == FIRST_USER_NAME:
        return await ensure_first_user(connection)
    found = await find_user(connection, name)
    if len(found) != 1:
        many = "several users are" if found else "no user is"
        raise SetupError(f"{many} called {name!r}; expected one")
    return found[0]
