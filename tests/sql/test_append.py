"""es.append: outcomes, versions, positions, borders."""

from __future__ import annotations

from uuid import uuid4

import pytest

from service.db.pool import Connection
from tests.sql.batch import ANY, Batch, append, positions, rows, value


async def test_append_to_a_new_stream(service: Connection) -> None:
    stream = uuid4()
    row = await append(service, stream, "a", "b", expected=0)
    assert row[:7] == (1, "appended", "chat", stream, 1, 2, 2)
    stored = await rows(
        service,
        "SELECT position, version, append_last, type, data, metadata, digest"
        " FROM es.events ORDER BY position",
    )
    assert [r[:6] for r in stored] == [
        (1, 1, 2, "a", {"n": 1}, {}),
        (2, 2, 2, "b", {"n": 1}, {}),
    ]
    assert stored[-1][6] == row.digest


async def test_append_to_an_existing_stream(service: Connection) -> None:
    stream = uuid4()
    first = await append(service, stream, "a", "b", expected=0)
    row = await append(service, stream, "c", expected=2, digest=first.digest)
    assert row[:7] == (1, "appended", "chat", stream, 3, 3, 3)


@pytest.mark.parametrize("events", [(), ("a",)])
async def test_any_version_fits_new_and_existing_streams(
    service: Connection, events: tuple[str, ...]
) -> None:
    stream = uuid4()
    if events:
        await append(service, stream, *events)
    row = await append(service, stream, "b", expected=ANY)
    assert (row.outcome, row.first_version) == ("appended", len(events) + 1)


@pytest.mark.parametrize(
    ("present", "expected"), [(0, 1), (1, 0), (2, 1), (2, 3), (2, 0)]
)
async def test_wrong_expected_version_tells_the_actual_one(
    service: Connection, present: int, expected: int
) -> None:
    stream = uuid4()
    digest = None
    if present:
        digest = (await append(service, stream, *["a"] * present)).digest
    row = await append(service, stream, "b", expected=expected)
    assert row[:6] == (1, "conflict", "chat", stream, None, present)
    assert row.digest == digest
    assert len(await positions(service)) == present


async def test_another_digest_of_the_expected_version_is_a_conflict(
    service: Connection,
) -> None:
    """The same version with another history: the log was restored or failed over."""
    stream = uuid4()
    await append(service, stream, "a")
    row = await append(service, stream, "b", expected=1, digest=b"\1" * 32)
    assert (row.outcome, row.last_version) == ("conflict", 1)


async def test_any_version_ignores_the_digest(service: Connection) -> None:
    stream = uuid4()
    await append(service, stream, "a")
    row = await append(service, stream, "b", expected=ANY, digest=b"\1" * 32)
    assert row.outcome == "appended"


async def test_streams_of_a_request_stand_or_fall_together(service: Connection) -> None:
    """A conflict on one stream fails its own request only, and says which is where."""
    good, stale, other = uuid4(), uuid4(), uuid4()
    await append(service, stale, "a", "b")
    batch = (
        Batch()
        .add(good, "x", request=7, expected=0)
        .add(stale, "x", request=7, expected=1)
        .add(other, "y", "z", request=8, expected=0)
    )
    answer = await batch.append(service)
    assert [(r.request, r.outcome, r.stream_id, r.last_version) for r in answer] == [
        (7, "conflict", good, 0),
        (7, "conflict", stale, 2),
        (8, "appended", other, 2),
    ]
    assert await positions(service) == [1, 2, 3, 4]
    assert (
        await value(
            service, "SELECT count(*) FROM es.events WHERE stream_id = %s", [good]
        )
        == 0
    )


async def test_request_over_several_streams_is_appended_whole(
    service: Connection,
) -> None:
    root, child = uuid4(), uuid4()
    await append(service, root, "created")
    batch = (
        Batch()
        .add(root, "child_spawned", expected=1, key="k")
        .add(child, "created", "message", expected=0, key="k")
    )
    answer = await batch.append(service)
    assert [
        (r.outcome, r.first_version, r.last_version, r.last_position) for r in answer
    ] == [("appended", 2, 2, 2), ("appended", 1, 2, 4)]


async def test_rows_come_in_the_order_of_the_batch(service: Connection) -> None:
    """Whatever becomes of each: the appender takes them one after the other."""
    streams = [uuid4() for _ in range(6)]
    for stream in streams[::2]:
        await append(service, stream, "a")
    batch = Batch()
    for number, stream in enumerate(streams):
        batch.add(stream, "b", request=10 - number, expected=0)
    answer = await batch.append(service)
    assert [row.stream_id for row in answer] == streams
    assert [row.outcome for row in answer] == ["conflict", "appended"] * 3


async def test_more_than_a_thousand_events_in_one_append(service: Connection) -> None:
    stream = uuid4()
    row = await append(service, stream, *["a"] * 1500)
    assert (row.first_version, row.last_version, row.last_position) == (1, 1500, 1500)
    assert await rows(
        service,
        "SELECT DISTINCT append_last, recorded_at = min(recorded_at) OVER ()"
        " FROM es.events",
    ) == [(1500, True)]
    assert await rows(service, "SELECT * FROM es.verify('chat', %s)", [stream]) == []


async def test_big_batch_of_many_requests(service: Connection) -> None:
    """As large as the appender makes one; half of it in conflict."""
    batch = Batch()
    for number in range(500):
        batch.add(uuid4(), "a", request=number, expected=number % 2)
    answer = await batch.append(service)
    assert [row.outcome for row in answer] == ["appended", "conflict"] * 250
    assert await positions(service) == list(range(1, 251))


async def test_unicode_and_numbers_come_back_as_they_were(service: Connection) -> None:
    data = {"text": '\u00fc \U0001f600 \\ " \n', "big": 2**60, "half": 0.5, "no": None}
    stream = uuid4()
    await append(service, stream, "a", data=data)
    assert await value(service, "SELECT data FROM es.events") == data


async def test_time_never_goes_back(service: Connection, admin: Connection) -> None:
    """A clock that jumps back: the last event's time is taken again."""
    await append(service, uuid4(), "a")
    await admin.execute("ALTER TABLE es.events DISABLE TRIGGER _100_forbid_change")
    await admin.execute("UPDATE es.events SET recorded_at = now() + interval '1 hour'")
    await append(service, uuid4(), "b", "c")
    times = await rows(service, "SELECT recorded_at FROM es.events ORDER BY position")
    assert times[0] == times[1] == times[2]
