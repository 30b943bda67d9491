"""es.purge_stream: what goes, what stays, who may, and what it refuses."""

from __future__ import annotations

import json  # noqa: TID251 - DETAIL is JSON for people, not of ours
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import LockNotAvailable

from service.db.pool import Connection
from tests.sql.batch import append, rows, value
from tests.sql.conftest import Open

PURGE = "SELECT erased, version, position FROM es.purge_stream('chat', %s, %s, %s)"

KEPT = """
SELECT position, version, append_last, schema_version, recorded_at, payload_hash, digest
FROM es.events WHERE stream_id = %s ORDER BY version
"""

TEXT = """
SELECT type, data, metadata, idempotency_key, request_hash
FROM es.events WHERE stream_id = %s ORDER BY version
"""


async def purge(connection: Connection, stream: UUID) -> tuple[int, int, int]:
    ((erased, version, position),) = await rows(
        connection, PURGE, [stream, "dba", "asked for"]
    )
    return erased, version, position


async def written(service: Connection) -> UUID:
    """A stream of three events among others."""
    stream = uuid4()
    await append(service, uuid4(), "other")
    await append(service, stream, "a", key="k:1", metadata={"actor": "u"})
    usage = {"usage": {"input_tokens": 7}, "text": "secret"}
    await append(service, stream, "b", "c", data=usage, key="k:2")
    return stream


@pytest.mark.parametrize("role", ["dba", "retention"])
async def test_content_goes_and_place_stays(
    service: Connection, open_as: Open, role: str
) -> None:
    stream = await written(service)
    kept = await rows(service, KEPT, [stream])
    assert await purge(await open_as(role), stream) == (3, 4, 5)
    assert (await rows(service, KEPT, [stream]))[:3] == kept
    *erased, last = await rows(service, TEXT, [stream])
    assert erased == [("erased", {"was": was}, {}, None, None) for was in "abc"]
    assert last[:2] == ("stream_purged", {"actor": "dba", "reason": "asked for"})
    assert last[2]["actor"] == "dba"
    UUID(last[2]["id"])


SECRETS = {"title": "secret", "response": {"id": "secret"}, "actor": "secret"}
OWNED = {"owner_id": str(uuid4()), "organization_id": str(uuid4())}
SPENT = {
    "asked": {"provider": "anthropic", "model": "m", "model_config_id": str(uuid4())},
    "usage": {"input_tokens": 7},
    "cost_micros": 12,
    "runtime_ms": 30,
}
"""What a model call took, and what it cost."""


@pytest.mark.parametrize(
    ("was", "kept"),
    [
        ("chat_created", OWNED | {"root_chat_id": str(uuid4())}),
        ("chat_created", OWNED),
        ("chat_forked", OWNED),
        ("step_committed", {"kind": "model", **SPENT}),
        ("step_committed", {"kind": "model", "model": "of-old", "usage": {}}),
        ("usage_recorded", {"purpose": "title", **SPENT}),
        ("interruption_finished", {"asked": SPENT["asked"], "runtime_ms": 30}),
    ],
    ids=["child", "created", "forked", "step", "old-step", "title", "interrupted"],
)
async def test_what_was_spent_stays_and_whose_it_was(
    service: Connection, open_as: Open, was: str, kept: dict[str, object]
) -> None:
    stream = uuid4()
    await append(service, stream, was, data=SECRETS | kept)
    await purge(await open_as("dba"), stream)
    assert (await rows(service, TEXT, [stream]))[0][1] == {"was": was, **kept}


async def test_no_other_event_leaves_what_it_said(
    service: Connection, open_as: Open
) -> None:
    stream = uuid4()
    data = SECRETS | SPENT | OWNED | {"kind": "model", "purpose": "title"}
    await append(service, stream, "message_appended", "turn_failed", data=data)
    await purge(await open_as("dba"), stream)
    assert [row[1] for row in await rows(service, TEXT, [stream])][:2] == [
        {"was": "message_appended"},
        {"was": "turn_failed"},
    ]


async def test_other_streams_are_left_alone(service: Connection, open_as: Open) -> None:
    stream = await written(service)
    query = "SELECT * FROM es.events WHERE stream_id <> %s"
    before = await rows(service, query, [stream])
    await purge(await open_as("dba"), stream)
    assert await rows(service, query, [stream]) == before


async def test_live_parts_of_the_stream_go(service: Connection, open_as: Open) -> None:
    stream, other = await written(service), uuid4()
    for chat in (stream, other):
        await service.execute(
            "INSERT INTO es.live_parts VALUES (%s, 1, 1, 1, '{}')", [chat]
        )
    await purge(await open_as("dba"), stream)
    assert await rows(service, "SELECT chat_id FROM es.live_parts") == [(other,)]


async def test_a_purged_stream_takes_nothing(
    service: Connection, open_as: Open
) -> None:
    stream = await written(service)
    await purge(await open_as("dba"), stream)
    outcome = await append(service, stream, "d", key="k:1")
    assert (outcome.outcome, outcome.last_version) == ("purged", 4)


async def test_it_rings_the_doorbell(service: Connection, open_as: Open) -> None:
    stream = await written(service)
    listener = await open_as("service")
    await listener.execute("LISTEN parley_log")
    await purge(await open_as("dba"), stream)
    (notice,) = [n async for n in listener.notifies(timeout=20, stop_after=1)]
    assert json.loads(notice.payload) == {
        "first": 5,
        "last": 5,
        "streams": [["chat", str(stream), 4, 4]],
    }


async def test_the_second_purge_says_that_nothing_is_left(
    service: Connection, open_as: Open
) -> None:
    stream, dba = await written(service), await open_as("dba")
    await purge(dba, stream)
    before = await rows(service, "SELECT * FROM es.events ORDER BY position")
    with pytest.raises(psycopg.DatabaseError) as raised:
        await purge(dba, stream)
    assert raised.value.sqlstate == "ES409"
    assert json.loads(raised.value.diag.message_detail or "")["version"] == 4
    assert raised.value.diag.message_hint == "nothing is left to do"
    assert await rows(service, "SELECT * FROM es.events ORDER BY position") == before


@pytest.mark.parametrize(
    ("category", "known", "actor", "reason", "code"),
    [
        ("chat", False, "a", "r", "ES404"),
        ("platform", True, "a", "r", "ES404"),
        ("chat", True, " ", "r", "ES422"),
        ("chat", True, "a", None, "ES422"),
    ],
)
async def test_what_it_refuses(
    service: Connection,
    open_as: Open,
    category: str,
    known: bool,
    actor: str,
    reason: str | None,
    code: str,
) -> None:
    stream, dba = await written(service), await open_as("dba")
    before = await rows(service, "SELECT * FROM es.events ORDER BY position")
    with pytest.raises(psycopg.DatabaseError) as raised:
        await dba.execute(
            "SELECT es.purge_stream(%s, %s, %s, %s)",
            [category, stream if known else uuid4(), actor, reason],
        )
    assert raised.value.sqlstate == code
    assert await rows(service, "SELECT * FROM es.events ORDER BY position") == before


async def test_an_old_snapshot_erases_nothing(
    service: Connection, open_as: Open
) -> None:
    stream, dba = await written(service), await open_as("dba")
    await dba.execute("SET default_transaction_isolation = 'repeatable read'")
    with pytest.raises(psycopg.DatabaseError) as raised:
        await purge(dba, stream)
    assert raised.value.sqlstate == "ES500"
    assert (
        await value(service, "SELECT count(*) FROM es.events WHERE type = 'erased'")
        == 0
    )


async def test_a_purge_waits_for_what_is_being_appended(
    service: Connection, open_as: Open
) -> None:
    """It holds the head lock, so nothing that was said before it escapes it."""
    stream, dba = await written(service), await open_as("dba")
    await dba.execute("SET lock_timeout = '50ms'")
    async with service.transaction():
        await append(service, stream, "late")
        with pytest.raises(LockNotAvailable):
            await purge(dba, stream)
    assert (await purge(dba, stream))[0] == 4
    types = [row[0] for row in await rows(service, TEXT, [stream])]
    assert types == ["erased"] * 4 + ["stream_purged"]
