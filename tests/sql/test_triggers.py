"""Each trigger by name: what rings, what is refused, whoever asks."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from service import wire
from service.db.pool import Connection, Database
from service.db.sqlstate import ES_FORBIDDEN, sqlstate_of
from tests.sql.batch import Batch, append, rows, value
from tests.sql.conftest import Open

TRIGGERS = """
SELECT tgrelid::regclass::text, tgname, tgenabled::text
FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2
"""

PARTS = """
INSERT INTO es.live_parts (chat_id, epoch, attempt, seq, data)
SELECT chat_id, 1, 1, seq, '{}' FROM unnest(%s::uuid[]) WITH ORDINALITY
  AS u (chat_id, seq)
"""


async def heard(listener: Connection) -> list[Any]:
    """Payloads that have come; a bell of our own marks the end."""
    await listener.execute("NOTIFY the_end")
    payloads: list[Any] = []
    async for notification in listener.notifies(timeout=30):
        if notification.channel == "the_end":
            return payloads
        payloads.append(wire.loads(notification.payload))
    raise AssertionError("the end was not heard")


async def listen(open_as: Open, channel: str) -> Connection:
    """A connection that hears `channel` and its own bell."""
    connection = await open_as("service")
    await connection.execute(f"LISTEN {channel}".encode())
    await connection.execute("LISTEN the_end")
    return connection


async def test_every_trigger_fires_always(admin: Connection) -> None:
    """A: also for a session that plays a replica."""
    found = await rows(admin, TRIGGERS)
    assert {enabled for _, _, enabled in found} == {"A"}
    assert [(table, name) for table, name, _ in found if table.startswith("es.")] == [
        ("es.events", "_100_forbid_change"),
        ("es.events", "_500_ring"),
        ("es.live_parts", "_500_ring"),
    ]


# es.events _500_ring


async def test_ring_tells_positions_and_streams_once_per_append(
    service: Connection, open_as: Open
) -> None:
    listener = await listen(open_as, "parley_log")
    one, two = uuid4(), uuid4()
    await append(service, one, "a")
    await Batch().add(one, "b", "c").add(two, "d", request=2).append(service)
    first, second = await heard(listener)
    assert first == {"first": 1, "last": 1, "streams": [["chat", str(one), 1, 1]]}
    assert (second["first"], second["last"]) == (2, 4)
    assert sorted(second["streams"]) == sorted(
        [["chat", str(one), 2, 3], ["chat", str(two), 1, 1]]
    )


async def test_ring_is_silent_when_nothing_was_appended(
    service: Connection, open_as: Open
) -> None:
    stream = uuid4()
    await append(service, stream, "a", key="k")
    listener = await listen(open_as, "parley_log")
    assert (await append(service, stream, "a", key="k")).outcome == "duplicate"
    assert (await append(service, stream, "a", expected=7)).outcome == "conflict"
    assert await heard(listener) == []


async def test_ring_comes_after_the_commit_only(
    service: Connection, open_as: Open
) -> None:
    listener = await listen(open_as, "parley_log")
    async with service.transaction(force_rollback=True):
        await append(service, uuid4(), "a")
    assert await heard(listener) == []


@pytest.mark.parametrize(("streams", "named"), [(100, True), (500, False)])
async def test_ring_leaves_streams_out_when_there_are_too_many(
    service: Connection, open_as: Open, streams: int, named: bool
) -> None:
    """NOTIFY refuses 8,000 bytes, and an append must never fail for its bell."""
    listener = await listen(open_as, "parley_log")
    batch = Batch()
    for number in range(streams):
        batch.add(uuid4(), "a", request=number)
    await batch.append(service)
    (payload,) = await heard(listener)
    assert (payload["first"], payload["last"]) == (1, streams)
    assert (payload["streams"] is not None) == named
    assert not named or len(payload["streams"]) == streams


async def test_ring_fits_at_every_size(service: Connection, open_as: Open) -> None:
    """Round the limit, one stream more each time."""
    listener = await listen(open_as, "parley_log")
    named = []
    for streams in range(125, 150):
        batch = Batch()
        for number in range(streams):
            batch.add(uuid4(), "a", request=number)
        await batch.append(service)
    named = [payload["streams"] is not None for payload in await heard(listener)]
    assert named == sorted(named, reverse=True)
    assert {True, False} == set(named)


# es.events _100_forbid_change


@pytest.mark.parametrize("role", ["owner", None])
@pytest.mark.parametrize(
    ("statement", "operation"),
    [
        ("DELETE FROM es.events", "DELETE"),
        ("DELETE FROM es.events WHERE false", "DELETE"),
        ("TRUNCATE es.events", "TRUNCATE"),
        ("UPDATE es.events SET type = 'x'", "UPDATE"),
    ],
)
async def test_forbid_change_stops_who_may_do_anything(
    service: Connection,
    open_as: Open,
    role: str | None,
    statement: str,
    operation: str,
) -> None:
    await append(service, uuid4(), "a")
    connection = await open_as(role)
    with pytest.raises(psycopg.DatabaseError) as caught:
        await connection.execute(statement.encode())
    assert sqlstate_of(caught.value) == ES_FORBIDDEN
    assert wire.loads(caught.value.diag.message_detail or "")["operation"] == operation
    assert caught.value.diag.message_hint
    assert await rows(service, "SELECT type FROM es.events") == [("a",)]


async def test_forbid_change_stops_a_session_that_plays_a_replica(
    service: Connection, admin: Connection
) -> None:
    await append(service, uuid4(), "a")
    try:
        await admin.execute("SET session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege:
        return  # a managed server: then nobody can play a replica
    with pytest.raises(psycopg.DatabaseError) as caught:
        await admin.execute("DELETE FROM es.events")
    assert sqlstate_of(caught.value) == ES_FORBIDDEN


async def test_forbid_change_lets_the_eraser_scrub_and_no_more(
    service: Connection, open_as: Open
) -> None:
    await append(service, uuid4(), "a")
    eraser = await open_as("eraser")
    await eraser.execute("UPDATE es.events SET type = 'erased', data = '{}'")
    for statement in ("DELETE FROM es.events", "TRUNCATE es.events"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await eraser.execute(statement.encode())
    assert await rows(service, "SELECT type FROM es.events") == [("erased",)]


async def test_forbid_change_stops_the_eraser_with_more_rights(
    service: Connection, admin: Connection, open_as: Open, database: Database
) -> None:
    """Should somebody ever grant them: rows are never removed."""
    await append(service, uuid4(), "a")
    role = database.role("eraser")
    await admin.execute(f"GRANT DELETE, TRUNCATE ON es.events TO {role}".encode())
    eraser = await open_as("eraser")
    for statement in ("DELETE FROM es.events", "TRUNCATE es.events"):
        with pytest.raises(psycopg.DatabaseError) as caught:
            await eraser.execute(statement.encode())
        assert sqlstate_of(caught.value) == ES_FORBIDDEN


async def test_nothing_references_events_with_cascade(admin: Connection) -> None:
    """TRUNCATE ... CASCADE of another table never reaches the log."""
    assert (
        await value(
            admin,
            "SELECT count(*) FROM pg_constraint"
            " WHERE contype = 'f' AND 'es.events'::regclass IN (conrelid, confrelid)",
        )
        == 0
    )


# es.live_parts _500_ring


async def test_parts_ring_names_each_chat_once(
    service: Connection, open_as: Open
) -> None:
    listener = await listen(open_as, "parley_live")
    one, two = uuid4(), uuid4()
    await service.execute(PARTS, [[one, two, one]])
    (payload,) = await heard(listener)
    assert sorted(payload["chats"]) == sorted([str(one), str(two)])


async def test_parts_ring_is_silent_for_nothing(
    service: Connection, open_as: Open
) -> None:
    listener = await listen(open_as, "parley_live")
    none: list[UUID] = []
    await service.execute(PARTS, [none])
    await service.execute("DELETE FROM es.live_parts")
    assert await heard(listener) == []


async def test_parts_ring_leaves_chats_out_when_there_are_too_many(
    service: Connection, open_as: Open
) -> None:
    listener = await listen(open_as, "parley_live")
    for count in (150, 400):
        await service.execute(PARTS, [[uuid4() for _ in range(count)]])
    some, many = await heard(listener)
    assert len(some["chats"]) == 150
    assert many == {"chats": None}
