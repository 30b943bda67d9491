"""es.verify and es.verify_positions: each kind of damage is found and named."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from service.db.pool import Connection
from tests.sql.batch import append, rows
from tests.sql.conftest import Open

STREAM = "SELECT version, problem FROM es.verify('chat', %s)"

RANGE = "SELECT position, problem FROM es.verify_positions(%s, %s)"

DAMAGE = [
    (
        "UPDATE es.events SET data = '{}' WHERE version = 2",
        [(2, "the event differs from its payload hash")],
        [(2, "the event differs from its payload hash")],
    ),
    (
        "UPDATE es.events SET type = 'x' WHERE version = 4",
        [(4, "the event differs from its payload hash")],
        [(4, "the event differs from its payload hash")],
    ),
    (
        "UPDATE es.events SET digest = sha256('x') WHERE version = 3",
        [(3, "the digest does not follow from the chain")],
        [
            (3, "the digest does not follow from the chain"),
            (4, "the digest does not follow from the chain"),
        ],
    ),
    (
        "DELETE FROM es.events WHERE version = 2",
        [
            (3, "versions have a hole before this one"),
            (3, "the digest does not follow from the chain"),
            (4, "versions have a hole before this one"),
            (4, "the digest does not follow from the chain"),
        ],
        [
            (3, "positions have a hole before this one"),
            (3, "the version before is missing"),
            (3, "the digest does not follow from the chain"),
        ],
    ),
    (
        "DELETE FROM es.events WHERE version = 4",
        [(3, "the stream ends inside an append")],
        [(3, "the log ends inside an append")],
    ),
]


async def written(service: Connection) -> UUID:
    """One stream: an append of one event, and one of three."""
    stream = uuid4()
    await append(service, stream, "a")
    await append(service, stream, "b", "c", "d")
    return stream


async def test_intact_log_has_no_problems(service: Connection) -> None:
    stream = await written(service)
    await append(service, uuid4(), "e")
    assert await rows(service, STREAM, [stream]) == []
    for first, last in ((1, 5), (0, 10**9), (2, 3), (3, 3), (99, 100)):
        assert await rows(service, RANGE, [first, last]) == []


@pytest.mark.parametrize(("damage", "of_stream", "of_range"), DAMAGE)
async def test_damage_is_found(
    service: Connection,
    admin: Connection,
    damage: str,
    of_stream: list[tuple[int, str]],
    of_range: list[tuple[int, str]],
) -> None:
    """Somebody switched the triggers off and helped himself."""
    stream = await written(service)
    await admin.execute("ALTER TABLE es.events DISABLE TRIGGER _100_forbid_change")
    await admin.execute(damage.encode())
    assert await rows(service, STREAM, [stream]) == of_stream
    assert await rows(service, RANGE, [1, 100]) == of_range


async def test_rewritten_time_and_order_are_found(
    service: Connection, admin: Connection
) -> None:
    stream = await written(service)
    await admin.execute("ALTER TABLE es.events DISABLE TRIGGER _100_forbid_change")
    await admin.execute(
        "UPDATE es.events SET recorded_at = '2001-01-01' WHERE version = 3"
    )
    await admin.execute("UPDATE es.events SET position = 9 WHERE version = 1")
    problems = {problem for _, problem in await rows(service, STREAM, [stream])}
    assert {"the time goes back", "the position goes back"} <= problems
    problems = {problem for _, problem in await rows(service, RANGE, [1, 9])}
    assert {"the time goes back", "positions have a hole before this one"} <= problems


async def test_moved_border_and_split_append_are_found(
    service: Connection, admin: Connection
) -> None:
    stream = await written(service)
    await admin.execute("ALTER TABLE es.events DISABLE TRIGGER _100_forbid_change")
    await admin.execute("UPDATE es.events SET append_last = 5 WHERE version = 3")
    await admin.execute("UPDATE es.events SET position = 8 WHERE version = 4")
    problems = {problem for _, problem in await rows(service, STREAM, [stream])}
    assert "the append border moves inside an append" in problems
    assert "an append is not adjacent" in problems
    problems = {problem for _, problem in await rows(service, RANGE, [1, 9])}
    assert "an append is not adjacent" in problems


async def test_stream_of_another_category_is_a_problem(service: Connection) -> None:
    stream = await written(service)
    found = await rows(service, "SELECT problem FROM es.verify('wrong', %s)", [stream])
    assert set(found) == {("the stream has another category",)}


async def test_purged_stream_keeps_the_chain_whole(
    service: Connection, open_as: Open
) -> None:
    """Its hashes stay: text gone, history intact; verify says what it cannot see."""
    stream = await written(service)
    await append(service, uuid4(), "e")
    told: list[str] = []
    service.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    assert await rows(service, STREAM, [stream]) == []
    assert told == []
    dba = await open_as("dba")
    await dba.execute("SELECT es.purge_stream('chat', %s, 'a', 'r')", [stream])
    assert await rows(service, STREAM, [stream]) == []
    assert await rows(service, RANGE, [1, 100]) == []
    assert told == ["4 erased events: only place and chain were checked"] * 2


async def test_a_purge_that_leaves_too_much_is_a_problem(
    service: Connection, open_as: Open
) -> None:
    stream = await written(service)
    dba, eraser = await open_as("dba"), await open_as("eraser")
    await dba.execute("SELECT es.purge_stream('chat', %s, 'a', 'r')", [stream])
    await eraser.execute(
        'UPDATE es.events SET data = \'{"was": "a", "text": "secret"}\''
        " WHERE stream_id = %s AND version = 2",
        [stream],
    )
    problem = [(2, "erased, but more is left than what was spent")]
    assert await rows(service, STREAM, [stream]) == problem
    assert await rows(service, RANGE, [1, 100]) == problem


async def test_erased_without_a_purge_is_a_problem(
    service: Connection, open_as: Open
) -> None:
    """Else who changes an event would only have to call it erased."""
    stream = await written(service)
    eraser = await open_as("eraser")
    await eraser.execute(
        "UPDATE es.events SET type = 'erased', data = '{\"was\": \"b\"}',"
        " metadata = '{}' WHERE version = 2"
    )
    problem = [(2, "erased, but the stream was not purged")]
    assert await rows(service, STREAM, [stream]) == problem
    assert await rows(service, RANGE, [1, 100]) == problem
