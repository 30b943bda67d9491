"""`parley doctor`: what it says of a healthy Parley, and of each kind of sick one."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from service.testing.parley import Parley
from tests.e2e.commands import Ran, command

STOP = """
UPDATE ops.checkpoints SET state = 'stopped', error = 'event 7 has another history'
WHERE projection = 'messages'
"""

PARK = """
INSERT INTO ops.parked_streams (projection, version, category, stream_id, position,
  event_version, event_type, error)
VALUES ('chats', 1, 'chat', '00000000-0000-4000-8000-000000000009', 1, 1, 'x', 'no')
"""

NAMES = [
    "packages", "database", "schema", "roles", "log", "read models", "chats", "clock",
    "listen", "connections", "service",
]  # fmt: skip


def found(ran: Ran) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in ran.json["checks"]}


async def execute(url: str, *statements: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as c:
        for statement in statements:
            await c.execute(statement.encode())


async def test_of_a_running_service(fresh_parley: Parley) -> None:
    ran = await command(fresh_parley.environ, "doctor", "--json")
    assert ran.code == 0
    assert ran.json["healthy"]
    checks = found(ran)
    assert [*checks] == NAMES
    states = {name: check["state"] for name, check in checks.items()}
    # the servers of tests do not wait for the disk, and doctor sees that
    assert states.pop("database") == "warn"
    assert "switch fsync and full_page_writes on" in checks["database"]["remedy"]
    assert {*states.values()} == {"ok"}
    assert checks["service"]["told"] == f"ready at {fresh_parley.url}"

    ran = await command(fresh_parley.environ, "doctor")
    assert "ok   listen       NOTIFY came back after" in ran.out
    assert ran.out.endswith("10 ok, 1 warn, 0 fail\n")


async def test_what_is_wrong_comes_with_its_remedy(fresh_parley: Parley) -> None:
    url, environ = fresh_parley.database_url, dict(fresh_parley.environ)
    prefix = environ["PARLEY_ROLE_PREFIX"]
    await execute(
        url,
        STOP,
        PARK,
        f"GRANT UPDATE ON es.events TO {prefix}_service",
        "DELETE FROM ops._yoyo_migration WHERE migration_id LIKE '0003.%'",
    )
    environ |= {"PARLEY_URL": "http://127.0.0.1:9", "PARLEY_POOL_SIZE": "1000"}
    ran = await command(environ, "doctor", "--json")
    assert ran.code == 1
    checks = found(ran)
    schema = checks["schema"]
    assert (schema["state"], schema["remedy"]) == ("fail", "run `parley migrate`")
    assert "0003." in schema["told"]
    assert checks["read models"]["state"] == "fail"
    assert "messages: event 7 has another history" in checks["read models"]["told"]
    assert checks["chats"]["state"] == "warn"
    assert "parked: 1 (00000000-0000-4000-8000-000000000009)" in checks["chats"]["told"]
    assert checks["roles"]["state"] == "fail"
    assert checks["connections"]["state"] == "warn"
    assert checks["service"]["state"] == "warn"
    ran = await command(environ, "doctor")
    assert ran.code == 1
    assert "fail schema" in ran.out
    assert "-> run `parley migrate`" in ran.out


async def test_a_dba_may_look_with_a_login_of_their_own(fresh_parley: Parley) -> None:
    chat = await fresh_parley.create("count 2")
    await fresh_parley.turn_finished(chat)
    url, environ = fresh_parley.database_url, dict(fresh_parley.environ)
    login, dba = f"dba_{secrets.token_hex(4)}", f"{environ['PARLEY_ROLE_PREFIX']}_dba"
    make = f"CREATE ROLE {login} LOGIN PASSWORD 'x' IN ROLE {dba}"
    await execute(url, make)
    try:
        environ["PARLEY_DATABASE_URL"] = with_login(url, login, "x")
        for arguments in (
            ("tail", "--no-follow"), ("show", chat["id"]), ("diff", chat["id"], "1"),
            ("verify",), ("verify", chat["id"]), ("digest",), ("export",),
        ):  # fmt: skip
            ran = await command(environ, "events", *arguments)
            assert (ran.code, arguments) == (0, arguments), ran.err
        ran = await command(environ, "doctor", "--json")
        assert ran.code == 0
        roles = found(ran)["roles"]
        assert roles["state"] == "warn"
        assert roles["told"].startswith("a login of a DBA")
    finally:
        await execute(url, f"DROP ROLE {login}")


def with_login(url: str, login: str, password: str) -> str:
    """The same database, as somebody else."""
    given = conninfo_to_dict(url) | {"user": login, "password": password}
    return make_conninfo("", **given)


async def test_of_a_database_that_is_empty(empty_database: str) -> None:
    environ = {
        "PARLEY_DATABASE_URL": empty_database,
        "PARLEY_URL": "http://127.0.0.1:9",
    }
    ran = await command(environ, "doctor", "--json")
    assert ran.code == 1
    checks = found(ran)
    assert checks["schema"]["remedy"] == "run `parley migrate`"
    assert checks["log"]["state"] == "fail"
    assert checks["listen"]["state"] == "ok"


async def test_of_a_database_that_is_not_there() -> None:
    environ = {
        "PARLEY_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
        "PARLEY_URL": "http://127.0.0.1:9",
    }
    ran = await command(environ, "doctor", "--json")
    assert ran.code == 1
    checks = found(ran)
    assert [*checks] == ["packages", "database", "service"]
    assert checks["database"]["state"] == "fail"
    assert "PARLEY_DATABASE_URL" in checks["database"]["remedy"]


async def test_of_an_embedded_database_without_a_service(tmp_path: Path) -> None:
    environ = {"PARLEY_DATA_DIR": str(tmp_path), "PARLEY_URL": "http://127.0.0.1:9"}
    assert (await command(environ, "migrate")).code == 0
    ran = await command(environ, "doctor", "--json")
    assert ran.code == 0
    checks = found(ran)
    assert str(tmp_path) in checks["data folder"]["told"]
    assert checks["database"]["state"] == "ok"
    assert checks["service"]["state"] == "warn"
    assert checks["read models"]["told"] == "none has run yet"
