"""Chats that do not go on, and everybody who is behind: what a DBA is paged for."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql
from psycopg.pq import ExecStatus

from projections.registry import PROJECTIONS
from projections.tables import make_read_models
from service.db.pool import Connection, Database
from tests.sql.batch import append, rows
from tests.sql.conftest import Open

STUCK = "SELECT chat_id, problem, detail FROM ops.stuck_chats ORDER BY problem"


async def chat(service: Connection) -> UUID:
    """A chat whose first attempt runs."""
    stream = uuid4()
    await append(service, stream, "chat_created", "message_appended", "run_acquired")
    opened = {"epoch": 2, "attempt": 1}
    await append(service, stream, "generation_attempt_started", data=opened)
    return stream


async def running(
    database: Database, admin: Connection, stream: UUID, age: str, status: str
) -> None:
    """The chat as the projection of runnable chats has it."""
    await make_read_models(database, PROJECTIONS)
    await admin.execute(
        "INSERT INTO read.runnable (chat_id, status, version, since)"
        " VALUES (%s, %s, 2, now() - %s::interval)",
        [stream, status, age],
    )


async def lease(
    service: Connection, stream: UUID, age: str, lease_time: str = "30 s"
) -> None:
    await service.execute(
        "INSERT INTO ops.leases VALUES (%s, 'w', 1, now() - %s::interval, %s)",
        [stream, age, lease_time],
    )


async def test_nothing_is_stuck_before_there_are_read_models(open_as: Open) -> None:
    assert await rows(await open_as("dba"), STUCK) == []


@pytest.mark.parametrize(
    ("age", "status", "silent", "expected"),
    [
        ("5 s", "running", None, []),
        ("5 min", "running", "1 s", []),
        ("5 min", "running", None, [("no worker", "running, without lease")]),
        (
            "5 min",
            "requires_action",
            "2 min",
            [("no worker", "requires_action, lease of w expired")],
        ),
    ],
)
async def test_runnable_chat_without_a_fresh_lease_is_stuck(
    service: Connection,
    admin: Connection,
    database: Database,
    open_as: Open,
    age: str,
    status: str,
    silent: str | None,
    expected: list[Any],
) -> None:
    stream = await chat(service)
    await running(database, admin, stream, age, status)
    if silent is not None:
        await lease(service, stream, silent)
    found = await rows(await open_as("dba"), STUCK)
    assert found == [(stream, *row) for row in expected]


@pytest.mark.parametrize(
    ("left", "expected"),
    [("1 min", []), ("-5 s", []), ("-1 min", ["no worker"])],
)
async def test_chat_that_waits_for_its_client_is_not_stuck_before_the_deadline(
    service: Connection,
    admin: Connection,
    database: Database,
    open_as: Open,
    left: str,
    expected: list[str],
) -> None:
    """And not in the moment after it, in which a worker takes it."""
    stream, dba = uuid4(), await open_as("dba")
    ((deadline,),) = await rows(
        admin, "SELECT (clock_timestamp() + %s::interval)::text", [left]
    )
    await append(service, stream, "chat_created")
    await append(service, stream, "action_required", data={"deadline": deadline})
    await running(database, admin, stream, "10 min", "requires_action")
    found = await rows(dba, "SELECT problem FROM ops.stuck_chats")
    assert found == [(problem,) for problem in expected]


@pytest.mark.parametrize(
    ("lease_time", "expected"), [("5 s", ["no worker"]), ("5 min", [])]
)
async def test_each_lease_has_its_own_time(
    service: Connection,
    admin: Connection,
    database: Database,
    open_as: Open,
    lease_time: str,
    expected: list[str],
) -> None:
    """Silent for 20 s is much for some workers and little for others."""
    stream, dba = await chat(service), await open_as("dba")
    await running(database, admin, stream, "10 min", "running")
    await lease(service, stream, "20 s", lease_time)
    found = await rows(dba, "SELECT problem FROM ops.stuck_chats")
    assert found == [(problem,) for problem in expected]
    behind = await rows(dba, "SELECT name FROM es.who_is_behind() WHERE who = 'worker'")
    assert behind == [(f"w {stream}",) for _ in expected]
    shown = await rows(dba, "SELECT expired FROM ops.lease_overview")
    assert shown == [(bool(expected),)]


async def old_chat(admin: Connection) -> UUID:
    """A chat whose only event is an hour old."""
    stream = uuid4()
    await admin.execute(
        "INSERT INTO es.events (position, recorded_at, stream_id, version,"
        " append_last, schema_version, category, type, data, metadata,"
        " payload_hash, digest) VALUES (1, now() - interval '1 h', %s, 1, 1, 1,"
        " 'chat', 'a', '{}', '{}', sha256('a'), sha256('b'))",
        [stream],
    )
    return stream


async def test_held_chat_without_progress_is_stuck(
    service: Connection, admin: Connection, database: Database, open_as: Open
) -> None:
    stream, dba = await old_chat(admin), await open_as("dba")
    await running(database, admin, stream, "1 h", "running")
    await lease(service, stream, "1 s")
    assert await rows(dba, STUCK) == [
        (stream, "no progress", "running, nothing new from w")
    ]
    await service.execute(
        "INSERT INTO es.live_parts VALUES (%s, 1, 1, 1, '{}')", [stream]
    )
    assert await rows(dba, STUCK) == []


async def test_failing_attempts_are_stuck(
    service: Connection, admin: Connection, database: Database, open_as: Open
) -> None:
    stream, dba = await chat(service), await open_as("dba")
    await running(database, admin, stream, "5 min", "running")
    await lease(service, stream, "1 s")
    for attempt in (2, 3):
        assert await rows(dba, STUCK) == []
        await append(
            service,
            stream,
            "generation_attempt_started",
            data={"epoch": 2, "attempt": attempt},
        )
    assert await rows(dba, STUCK) == [(stream, "attempts fail", "attempt 3 of epoch 2")]
    await append(service, stream, "step_committed", data={"epoch": 2, "attempt": 3})
    assert await rows(dba, STUCK) == []


PARK = (
    "INSERT INTO ops.parked_streams (projection, version, category, stream_id,"
    " position, event_version, event_type, error, skipped)"
    " VALUES ('chats', 1, 'chat', %s, 1, 1, 'a', 'why', %s)"
)


async def test_parked_chats_are_stuck_and_skipped_events_not(open_as: Open) -> None:
    stream, projector = uuid4(), await open_as("projector")
    await projector.execute(PARK, [stream, None])
    await projector.execute(PARK, [uuid4(), "a person said so"])
    assert await rows(await open_as("dba"), STUCK) == [
        (stream, "parked", "chats at version 1: why")
    ]


async def test_who_is_behind_names_everybody(
    service: Connection, open_as: Open
) -> None:
    stream, dba = await chat(service), await open_as("dba")
    query = "SELECT who, name, behind_events, state FROM es.who_is_behind()"
    assert await rows(dba, query) == []
    projector = await open_as("projector")
    await projector.execute(
        "INSERT INTO ops.checkpoints (projection, version, position, state, error)"
        " VALUES ('chats', 1, 2, 'running', NULL), ('queue', 1, 4, 'stopped', 'why'),"
        " ('messages', 1, 4, 'running', NULL)"
    )
    await projector.execute(PARK, [stream, None])
    await lease(service, stream, "1 h")
    found = await rows(dba, query)
    assert found[0] == ("worker", f"w {stream}", None, "silent")
    assert set(found[1:]) == {
        ("projection", "chats__v1", 2, "running"),
        ("projection", "queue__v1", 0, "stopped: why"),
        ("parked stream", f"chats__v1 {stream}", 3, "a at version 1: why"),
    }


SESSIONS = "SELECT name, advice FROM es.who_is_behind('0 s') WHERE who = 'session'"


@pytest_asyncio.fixture
async def monitor(admin: Connection, database: Database) -> AsyncIterator[str]:
    """A login of a DBA who may see everybody's sessions."""
    name = f"parley_test_{uuid4().hex}"
    role, dba = sql.Identifier(name), sql.Identifier(f"{database.role_prefix}_dba")
    await admin.execute(sql.SQL("CREATE ROLE {}").format(role))
    await admin.execute(sql.SQL("GRANT {}, pg_monitor TO {}").format(dba, role))
    yield name
    await admin.execute(sql.SQL("DROP ROLE {}").format(role))


def notices(connection: Connection) -> list[str]:
    """What the connection is told besides rows, as it comes."""
    heard: list[str] = []
    connection.add_notice_handler(lambda n: heard.append(n.message_primary or ""))
    return heard


async def test_old_transactions_are_shown_to_pg_monitor(
    admin: Connection, open_as: Open, monitor: str
) -> None:
    holder, other = await open_as("projector"), await open_as(None)
    pid = holder.info.backend_pid
    heard = notices(other)
    await other.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(monitor)))
    async with holder.transaction():
        await holder.execute("SELECT 1")
        shown = dict(await rows(other, SESSIONS))
        assert (
            shown[f"parley/test {pid}"]
            == "its snapshot stops vacuum: end the transaction"
        )
        # a minute is no problem yet
        young = "SELECT name FROM es.who_is_behind() WHERE who = 'session'"
        assert (f"parley/test {pid}",) not in await rows(other, young)
    assert f"parley/test {pid}" not in dict(await rows(other, SESSIONS))
    assert heard == []


async def test_without_pg_monitor_a_notice_says_what_is_hidden(
    database: Database, open_as: Open
) -> None:
    holder, dba = await open_as("projector"), await open_as("dba")
    heard = notices(dba)
    async with holder.transaction():
        await holder.execute("SELECT 1")
        assert await rows(dba, SESSIONS) == []
    dba_role = f"{database.role_prefix}_dba"
    assert heard == [f"sessions and replicas are hidden from {dba_role}"]


async def test_replica_that_applies_late_is_shown_to_pg_monitor(
    admin: Connection, database: Database, open_as: Open, monitor: str
) -> None:
    other = await open_as(None)
    await other.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(monitor)))
    late = f"late_{uuid4().hex[:8]}"
    query = "SELECT name, state FROM es.who_is_behind() WHERE who = 'replica'"
    try:
        connected = Standby(database.dsn, late)
    except psycopg.OperationalError as error:
        if "no pg_hba.conf entry" not in str(error):
            raise
        pytest.skip("this server lets no standby in from here")
    with closing(connected) as standby:
        assert (late, "streaming") not in await rows(other, query)
        standby.receive()
        await admin.execute("SELECT pg_sleep(1.2)")
        standby.confirm()
        async with asyncio.timeout(10):
            while (late, "streaming") not in await rows(other, query):
                await admin.execute("SELECT pg_sleep(0.05)")


class Standby:
    """As much of a standby as reports how far it is; it keeps nothing."""

    def __init__(self, dsn: str, name: str) -> None:
        self._connection = psycopg.connect(
            dsn, application_name=name, replication="true", autocommit=True
        )
        self._wire = self._connection.pgconn
        started = self._wire.exec_(b"IDENTIFY_SYSTEM").get_value(0, 2)
        assert started is not None
        self._end = 0
        begun = self._wire.exec_(b"START_REPLICATION PHYSICAL " + started)
        assert begun.status == ExecStatus.COPY_BOTH

    def receive(self) -> None:
        """Wait for some of the log."""
        kind = b""
        while kind != b"w":
            _, message = self._wire.get_copy_data(0)
            kind, body = bytes(message[:1]), bytes(message[25:])
        (start,) = struct.unpack_from(">Q", message, 1)
        self._end = start + len(body)

    def confirm(self) -> None:
        """Say that all of that is written, flushed and applied, now."""
        end = self._end
        self._wire.put_copy_data(struct.pack(">cQQQQB", b"r", end, end, end, 0, 0))
        self._wire.flush()

    def close(self) -> None:
        self._connection.close()
