"""Who owns what, and who may do what."""

from __future__ import annotations

from uuid import uuid4

import pytest
from psycopg.errors import InsufficientPrivilege

from service.db.pool import Connection, Database
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

INSPECTS = [
    "change_of_history",
    "change_of_metadata",
    "change_of_turn",
    "chat_diff",
    "chat_timeline",
    "describe_event",
    "explain_event",
    "find_stuck_chats",
    "position_at",
    "state_at",
    "who_is_behind",
]

MAY_EXECUTE = {
    "service": sorted(["append", *READS, *CHECKS, *INSPECTS]),
    "projector": ["read_log", "read_stream"],
    "eraser": ["append", "purge_stream"],
    "retention": ["purge_stream"],
    "dba": sorted(["purge_stream", *READS, *CHECKS, *INSPECTS]),
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
        "INSERT INTO platform.settings VALUES ('k', '1')",
        "UPDATE platform.settings SET value = '2'",
        "DELETE FROM platform.settings",
        "DELETE FROM platform.user_settings",
        "DELETE FROM platform.compaction_thresholds",
        "SELECT api_key_encrypted FROM platform.providers",
        "UPDATE platform.providers SET enabled = false",
        "UPDATE platform.model_configs SET enabled = false",
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
        "SELECT id, user_id, name, scopes, expires_at, revoked_at FROM platform.tokens",
        "SELECT id, kind, display_name, base_url, enabled, has_api_key, updated_at"
        " FROM platform.providers",
        "SELECT * FROM platform.model_configs",
        "SELECT * FROM platform.settings",
        "SELECT * FROM platform.user_settings",
        "SELECT * FROM platform.compaction_thresholds",
        "SELECT * FROM platform.audit_outbox",
        "SELECT * FROM ops.event_rates",
        "SELECT * FROM ops.stuck_chats",
        "SELECT * FROM es.who_is_behind()",
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

APPEND = (
    "SELECT * FROM es.append('{}','{}','{}','{}','{}','{}','{}','{}','{}','{}',"
    "'{}','{}')"
)

PURGE = "SELECT * FROM es.purge_stream('chat', gen_random_uuid(), 'a', 'r')"

FORBIDDEN = {
    "service": [
        *LOG_CHANGES,
        PURGE,
        "CREATE TABLE read.things (n int)",
        "UPDATE ops.checkpoints SET position = 1",
        "UPDATE ops.repeatables SET checksum = ''",
        "SELECT * FROM platform.audit_outbox",
        "INSERT INTO platform.audit_outbox (stream_id, type, data)"
        " VALUES (gen_random_uuid(), 'x', '{}')",
        "DELETE FROM platform.audit_outbox",
        "DELETE FROM platform.providers",
        "DELETE FROM platform.model_configs",
        "ALTER TABLE platform.providers DISABLE TRIGGER ALL",
    ],
    "projector": [
        *LOG_CHANGES,
        PURGE,
        "SELECT * FROM platform.tokens",
        "SELECT * FROM platform.providers",
        "DELETE FROM ops.leases",
        "SELECT * FROM es.live_parts",
    ],
    "retention": [*LOG_CHANGES, APPEND, "SELECT * FROM platform.tokens"],
    "dba": [
        *LOG_CHANGES,
        "DELETE FROM es.live_parts",
        "DELETE FROM ops.leases",
        "INSERT INTO platform.users VALUES (gen_random_uuid(), 'u')",
        APPEND,
        "SELECT token_hash FROM platform.tokens",
        "SELECT * FROM platform.tokens",
        "SELECT api_key_encrypted FROM platform.providers",
        "SELECT * FROM platform.providers",
        "UPDATE platform.settings SET value = '1'",
        "UPDATE ops.checkpoints SET position = 1",
        "DELETE FROM ops.parked_streams",
        "CREATE TABLE ops.mine (n int)",
        "CREATE TABLE read.mine (n int)",
    ],
    "eraser": [
        "INSERT INTO es.events SELECT * FROM es.events",
        "DELETE FROM es.events",
        "TRUNCATE es.events",
        "ALTER TABLE es.events DISABLE TRIGGER ALL",
        "SELECT * FROM platform.users",
    ],
}


async def test_owner_owns_everything_but_what_erases(
    admin: Connection, database: Database
) -> None:
    found = await rows(admin, OWNERS, {"in": SCHEMAS})
    eraser = database.role("eraser")
    assert set(found) == {(database.role("owner"),), (eraser,)}
    query = (
        "SELECT proname FROM pg_proc WHERE pg_get_userbyid(proowner) = %s"
        " UNION ALL SELECT relname FROM pg_class WHERE pg_get_userbyid(relowner) = %s"
    )
    assert await rows(admin, query, [eraser, eraser]) == [("purge_stream",)]
    assert not await value(
        admin, "SELECT has_schema_privilege(%s, 'es', 'CREATE')", [eraser]
    )


async def test_public_may_execute_nothing(admin: Connection) -> None:
    assert await rows(admin, PUBLIC, {"in": SCHEMAS}) == []


@pytest.mark.parametrize("role", MAY_EXECUTE)
async def test_role_executes_functions_by_name(
    admin: Connection, database: Database, role: str
) -> None:
    found = await rows(admin, EXECUTES, {"in": SCHEMAS, "role": database.role(role)})
    assert [name for (name,) in found] == MAY_EXECUTE[role]


async def test_what_runs_as_its_owner(admin: Connection) -> None:
    """The audit too: whoever changes a row can neither forge nor lose it."""
    found = await rows(admin, "SELECT DISTINCT proname FROM pg_proc WHERE prosecdef")
    assert {name for (name,) in found} == {
        "append",
        "purge_stream",
        "tg_rows__audit",
        "tg_audit_outbox__append",
    }


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


@pytest.mark.parametrize("role", ["service", "projector", "retention", "dba"])
async def test_role_may_not_become_another(
    admin: Connection, database: Database, role: str
) -> None:
    query = """
    SELECT rolname FROM pg_roles
    WHERE starts_with(rolname, %s) AND pg_has_role(%s, oid, 'MEMBER')
    """
    name = database.role(role)
    found = await rows(admin, query, [f"{database.role_prefix}_", name])
    assert found == [(name,)]
