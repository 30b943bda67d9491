"""Which errors mean that the connection is gone, told by real ones."""

from __future__ import annotations

import psycopg
import pytest

from service.db.pool import Connection, Database
from service.db.sqlstate import ES_FORBIDDEN, is_connection_lost, sqlstate_of
from tests.sql.conftest import Open


async def test_ended_by_the_server(admin: Connection, open_as: Open) -> None:
    """The first statement hears why; the next ones find the connection closed."""
    victim = await open_as("service")
    await admin.execute("SELECT pg_terminate_backend(%s)", [victim.info.backend_pid])
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError) as caught:
            await victim.execute("SELECT 1")
        assert is_connection_lost(caught.value)


async def test_nobody_listens(database: Database) -> None:
    with pytest.raises(psycopg.OperationalError) as caught:
        await psycopg.AsyncConnection.connect("host=127.0.0.1 port=1 dbname=x")
    assert is_connection_lost(caught.value)
    assert sqlstate_of(caught.value) is None


async def test_closed_connection(open_as: Open) -> None:
    connection = await open_as("service")
    await connection.close()
    with pytest.raises(psycopg.OperationalError) as caught:
        await connection.execute("SELECT 1")
    assert is_connection_lost(caught.value)


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("SELECT 1 / 0", "22012"),
        ("DELETE FROM es.events", ES_FORBIDDEN),
        ("SELECT pg_cancel_backend(pg_backend_pid())", "57014"),
        ("SET statement_timeout = 1; SELECT pg_sleep(10)", "57014"),
        ("SET lock_timeout = 'never'", "22023"),
    ],
)
async def test_refused_statement_is_no_lost_connection(
    admin: Connection, statement: str, sqlstate: str
) -> None:
    with pytest.raises(psycopg.Error) as caught:
        await admin.execute(statement.encode())
    assert sqlstate_of(caught.value) == sqlstate
    assert not is_connection_lost(caught.value)


def test_other_exceptions_have_no_sqlstate() -> None:
    assert sqlstate_of(OSError("gone")) is None
    assert not is_connection_lost(OSError("gone"))
