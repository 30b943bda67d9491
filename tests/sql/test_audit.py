"""What changes in schema platform is in the log: once, whole, without secrets."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from service.db.pool import Connection
from service.db.sqlstate import ES_FAULT, ES_FORBIDDEN, sqlstate_of
from service.platform.audit import audited
from service.platform.users import ensure_user
from tests.sql.batch import append, rows, value
from tests.sql.conftest import Open
from tests.sql.models import add_config, add_provider, change
from tests.sql.test_triggers import heard, listen

EVENTS = """
SELECT stream_id, version, type, data ->> 'op', data -> 'row', metadata
FROM es.events WHERE category = 'platform' ORDER BY position
"""

APPENDS = "SELECT count(DISTINCT recorded_at) FROM es.events"

SECRET = b"the sealed key of a vendor"


async def told(connection: Connection) -> list[tuple[str, str]]:
    """Type and operation of every event, in the order of the log."""
    return [(type_, op) for _, _, type_, op, _, _ in await rows(connection, EVENTS)]


def made_of(text: str) -> UUID:
    """The stream of a row whose key is not a uuid."""
    return UUID(hashlib.md5(text.encode()).hexdigest())  # noqa: S324  no secret


async def test_provider_is_told_without_its_key(service: Connection) -> None:
    provider = await add_provider(service)
    await service.execute(
        "UPDATE platform.providers SET api_key_encrypted = %s", [SECRET]
    )
    added, keyed = await rows(service, EVENTS)
    assert added[:4] == (provider, 1, "provider_changed", "insert")
    assert keyed[:4] == (provider, 2, "provider_changed", "update")
    assert (added[4]["has_api_key"], keyed[4]["has_api_key"]) == (False, True)
    assert set(keyed[4]) == {
        "id", "kind", "display_name", "base_url", "enabled", "has_api_key",
        "deleted_at", "created_at", "updated_at",
    }  # fmt: skip
    whole = await value(service, "SELECT string_agg(e::text, '') FROM es.events AS e")
    assert SECRET.hex() not in whole
    assert SECRET.decode() not in whole


async def test_every_table_tells_of_every_change(service: Connection) -> None:
    user = await ensure_user(service, uuid4(), name="u")
    config = await add_config(service, await add_provider(service))
    for table, columns, values in (
        ("settings", "key, value", ["k", "1"]),
        ("user_settings", "user_id, key, value", [user, "k", "1"]),
        (
            "compaction_thresholds",
            "user_id, model_config_id, threshold_percent",
            [user, config, 7],
        ),
    ):
        marks = ", ".join(["%s"] * len(values))
        for statement in (
            f"INSERT INTO platform.{table} ({columns}) VALUES ({marks})",  # noqa: S608
            f"UPDATE platform.{table} SET updated_at = now()",  # noqa: S608
            f"DELETE FROM platform.{table}",  # noqa: S608
        ):
            await service.execute(
                statement.encode(), values if "%s" in statement else None
            )
    found = await told(service)
    assert found[:3] == [
        ("provider_changed", "insert"),
        ("model_config_changed", "insert"),
        ("model_config_changed", "update"),  # it became the default
    ]
    assert found[3:] == [
        (type_, op)
        for type_ in (
            "setting_changed", "user_setting_changed", "compaction_threshold_changed",
        )
        for op in ("insert", "update", "delete")
    ]  # fmt: skip
    streams = {row[0] for row in (await rows(service, EVENTS))[3:]}
    assert streams == {
        made_of("settings:k"),
        made_of(f"user_settings:{user}:k"),
        made_of(f"compaction_thresholds:{user}:{config}"),
    }


async def test_row_is_told_as_it_was_when_it_goes(service: Connection) -> None:
    await service.execute("INSERT INTO platform.settings VALUES ('k', '{\"a\": 1}')")
    await service.execute("DELETE FROM platform.settings")
    row = (await rows(service, EVENTS))[1][4]
    assert (row["key"], row["value"], row["version"]) == ("k", {"a": 1}, 1)


async def test_actor_is_who_was_named_for_the_transaction(
    service: Connection,
) -> None:
    async with audited(service, actor="alice"):
        await service.execute("INSERT INTO platform.settings VALUES ('k', '1')")
        await service.execute("UPDATE platform.settings SET value = '2'")
    await service.execute("UPDATE platform.settings SET value = '3'")
    metadata = [row[5] for row in await rows(service, EVENTS)]
    assert [found["actor"] for found in metadata] == ["alice", "alice", "system"]
    first, second, third = metadata
    assert first["correlation_id"] == second["correlation_id"]
    assert third["correlation_id"] != first["correlation_id"]
    assert len({found["id"] for found in metadata}) == 3
    assert await value(service, "SELECT updated_by FROM platform.settings") == "system"


async def test_transaction_is_one_append(service: Connection, open_as: Open) -> None:
    listener = await listen(open_as, "parley_log")
    async with audited(service, actor="alice"):
        one = await add_provider(service)
        two = await add_provider(service)
        await add_config(service, one)
        await change(service, two, "enabled = false")
        await change(service, one, "display_name = 'x'")
        assert await rows(service, EVENTS) == []  # nothing before the commit
    (bell,) = await heard(listener)
    assert (bell["first"], bell["last"]) == (1, 6)
    assert await value(service, APPENDS) == 1
    found = [(row[0], row[1]) for row in await rows(service, EVENTS)]
    # a stream's events are together, in the order in which they happened
    assert found[:2] == [(one, 1), (one, 2)]
    assert found[2:4] == [(two, 1), (two, 2)]
    assert await value(service, "SELECT count(*) FROM es.verify_positions(1, 6)") == 0


async def test_many_rows_are_one_append(service: Connection, admin: Connection) -> None:
    async with service.transaction():
        await service.execute(
            "INSERT INTO platform.settings"
            " SELECT 'k' || n, '1' FROM generate_series(1, 1000) AS n"
        )
    assert await value(service, "SELECT count(*) FROM es.events") == 1000
    assert await value(service, APPENDS) == 1
    assert await value(admin, "SELECT count(*) FROM platform.audit_outbox") == 0


async def test_rolled_back_changes_are_not_told(
    service: Connection, admin: Connection
) -> None:
    async with service.transaction(force_rollback=True):
        await add_provider(service)
    with pytest.raises(psycopg.errors.CheckViolation):
        await service.execute("INSERT INTO platform.settings VALUES ('K', '1')")
    assert await value(service, "SELECT count(*) FROM es.events") == 0
    assert await value(admin, "SELECT count(*) FROM platform.audit_outbox") == 0


async def test_savepoint_takes_back_its_part(service: Connection) -> None:
    async with service.transaction():
        await service.execute("INSERT INTO platform.settings VALUES ('a', '1')")
        async with service.transaction(force_rollback=True):
            await service.execute("INSERT INTO platform.settings VALUES ('b', '1')")
    assert [row[4]["key"] for row in await rows(service, EVENTS)] == ["a"]


async def test_statement_that_changes_nothing_is_not_told(
    service: Connection, open_as: Open
) -> None:
    listener = await listen(open_as, "parley_log")
    await service.execute("UPDATE platform.settings SET value = '1'")
    await service.execute("DELETE FROM platform.user_settings")
    assert await rows(service, EVENTS) == []
    assert await heard(listener) == []


async def test_upsert_is_told_once(service: Connection) -> None:
    for _ in range(2):
        await service.execute(
            "INSERT INTO platform.settings VALUES ('k', '1')"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        )
    assert await told(service) == [
        ("setting_changed", "insert"),
        ("setting_changed", "update"),
    ]


async def test_what_goes_with_a_user_is_told(
    service: Connection, admin: Connection
) -> None:
    user = await ensure_user(service, uuid4(), name="u")
    await service.execute(
        "INSERT INTO platform.user_settings VALUES (%s, 'k', '1')", [user]
    )
    await admin.execute("DELETE FROM platform.users WHERE id = %s", [user])
    assert await told(service) == [
        ("user_setting_changed", "insert"),
        ("user_setting_changed", "delete"),
    ]


async def test_chats_go_on_while_a_change_is_open(
    service: Connection, open_as: Open
) -> None:
    """The head of the log is locked at the commit, not while a person thinks."""
    other = await open_as("service")
    async with service.transaction():
        await add_provider(service)
        async with asyncio.timeout(10):
            assert (await append(other, uuid4(), "a")).outcome == "appended"
    found = await rows(service, "SELECT category FROM es.events ORDER BY position")
    assert found == [("chat",), ("platform",)]
    async with service.transaction():  # and with an append of its own
        await add_provider(service)
        await append(service, uuid4(), "a")
    found = await rows(service, "SELECT category FROM es.events ORDER BY position")
    assert found == [("chat",), ("platform",)] * 2


async def test_concurrent_changes_are_all_told(
    service: Connection, open_as: Open
) -> None:
    async def session(number: int) -> None:
        connection = await open_as("service")
        for _ in range(10):
            async with audited(connection, actor=f"a{number}"):
                await connection.execute(
                    "INSERT INTO platform.settings VALUES ('k', '1')"
                    " ON CONFLICT (key) DO UPDATE SET value = excluded.value"
                )
            await append(connection, uuid4(), "a")

    async with asyncio.timeout(60):
        await asyncio.gather(*(session(number) for number in range(6)))
    found: list[Any] = await rows(service, EVENTS)
    assert [row[1] for row in found] == list(range(1, 61))
    assert [row[4]["version"] for row in found] == list(range(1, 61))
    assert await value(service, "SELECT count(*) FROM es.events") == 120


async def test_change_under_an_old_snapshot_is_refused(service: Connection) -> None:
    """es.append says why; nothing of the change is left."""
    await service.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
    with pytest.raises(psycopg.DatabaseError) as caught:
        async with service.transaction():
            await add_provider(service)
    assert sqlstate_of(caught.value) == ES_FAULT
    assert await value(service, "SELECT count(*) FROM platform.providers") == 0


async def test_purged_row_goes_on_in_another_stream(
    service: Connection, open_as: Open
) -> None:
    """What a user wrote is gone for good, and the user may write again."""
    await service.execute("INSERT INTO platform.settings VALUES ('k', '\"private\"')")
    stream = made_of("settings:k")
    retention = await open_as("retention")
    await retention.execute(
        "SELECT es.purge_stream('platform', %s, 'alice', 'asked')", [stream]
    )
    await service.execute("UPDATE platform.settings SET value = '1'")
    await service.execute("UPDATE platform.settings SET value = '2'")
    found = await rows(service, "SELECT stream_id, type FROM es.events ORDER BY 1, 2")
    after = made_of(str(stream))
    assert sorted(found) == sorted(
        [
            (stream, "erased"),
            (stream, "stream_purged"),
            (after, "setting_changed"),
            (after, "setting_changed"),
        ]
    )
    whole = await value(service, "SELECT string_agg(data::text, '') FROM es.events")
    assert "private" not in whole


async def test_owner_by_hand_is_told_too(admin: Connection) -> None:
    await admin.execute("INSERT INTO platform.settings VALUES ('k', '1')")
    try:
        await admin.execute("SET session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege:
        return  # a managed server: then nobody can play a replica
    await admin.execute("UPDATE platform.settings SET value = '2'")
    assert len(await told(admin)) == 2


async def test_times_are_told_in_utc(service: Connection) -> None:
    await service.execute("SET timezone = 'Asia/Tokyo'")
    await add_provider(service)
    row = (await rows(service, EVENTS))[0][4]
    assert row["created_at"].endswith("+00:00")
    assert await value(service, "SHOW timezone") == "Asia/Tokyo"


async def test_nobody_writes_such_events_by_hand(service: Connection) -> None:
    """Not even in a transaction that changes a row, or beside a purge's last word."""
    with pytest.raises(psycopg.Error) as refused:
        await append(service, uuid4(), "provider_changed", category="platform")
    assert sqlstate_of(refused.value) == ES_FORBIDDEN

    async def beside_a_change() -> None:
        async with service.transaction():
            await add_provider(service)
            await append(service, uuid4(), "provider_changed", category="platform")

    with pytest.raises(psycopg.Error) as refused:
        await beside_a_change()
    assert sqlstate_of(refused.value) == ES_FORBIDDEN
    with pytest.raises(psycopg.Error) as refused:
        await append(
            service,
            uuid4(),
            "provider_changed",
            "stream_purged",
            category="platform",
        )
    assert sqlstate_of(refused.value) == ES_FORBIDDEN
    with pytest.raises(psycopg.Error, match="permission denied"):
        await service.execute(
            "INSERT INTO platform.audit_outbox (stream_id, type, data)"
            " VALUES (gen_random_uuid(), 'appending', '{}')"
        )
    assert await told(service) == []
    await add_provider(service)
    assert await told(service) == [("provider_changed", "insert")]
    left = await value(service, "SELECT count(*) FROM es.events")
    assert left == 1
