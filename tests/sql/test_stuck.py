"""Chats that do not go on, and everybody who is behind: what a DBA is paged for."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

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


async def lease(service: Connection, stream: UUID, age: str) -> None:
    await service.execute(
        "INSERT INTO ops.leases VALUES (%s, 'w', 1, now() - %s::interval)",
        [stream, age],
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
