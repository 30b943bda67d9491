"""Idempotency keys: the same request twice has one effect."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from service.db.pool import Connection
from tests.sql.batch import Batch, append, positions, rows
from tests.sql.conftest import Open


async def test_same_key_again_gives_the_first_result(service: Connection) -> None:
    """Also with other events, and after others have appended."""
    stream = uuid4()
    first = await append(service, stream, "a", "b", expected=0, key="k")
    await append(service, stream, "c")
    again = await append(service, stream, "x", expected=0, key="k")
    assert again == first._replace(outcome="duplicate")
    assert await positions(service) == [1, 2, 3]


async def test_same_key_with_another_request_is_refused(service: Connection) -> None:
    stream = uuid4()
    await append(service, stream, "a", key="k", body="one")
    row = await append(service, stream, "b", key="k", body="two")
    assert (row.outcome, row.first_version, row.last_version) == ("key_reused", None, 1)
    assert await positions(service) == [1]


async def test_key_belongs_to_its_stream(service: Connection) -> None:
    for _ in range(2):
        assert (await append(service, uuid4(), "a", key="k")).outcome == "appended"


async def test_key_and_hash_are_on_the_first_event_of_each_stream(
    service: Connection,
) -> None:
    batch = Batch().add(uuid4(), "a", "b", key="k").add(uuid4(), "c", key="k")
    await batch.append(service)
    stored = await rows(
        service,
        "SELECT type, idempotency_key, request_hash FROM es.events ORDER BY position",
    )
    digest = batch.request_hashes[0]
    assert stored == [("a", "k", digest), ("b", None, None), ("c", "k", digest)]


async def test_key_on_any_stream_makes_the_whole_request_a_duplicate(
    service: Connection,
) -> None:
    """A repeated request may be decided anew, over other streams than before."""
    root, first, second = uuid4(), uuid4(), uuid4()
    await Batch().add(root, "a", key="k").add(first, "a", key="k").append(service)
    answer = (
        await Batch().add(root, "a", key="k").add(second, "a", key="k").append(service)
    )
    assert [(r.outcome, r.stream_id, r.first_version) for r in answer] == [
        ("duplicate", root, 1),
        ("duplicate", second, None),
    ]
    assert await positions(service) == [1, 2]


async def test_duplicate_comes_before_conflict_and_purge_before_both(
    service: Connection,
) -> None:
    """A retry carries the old expected version: that is no conflict."""
    stream = uuid4()
    await append(service, stream, "a", expected=0, key="k")
    assert (await append(service, stream, "a", expected=0, key="k")).outcome == (
        "duplicate"
    )
    await append(service, stream, "stream_purged")
    assert (await append(service, stream, "a", expected=0, key="k")).outcome == "purged"


async def test_same_request_at_the_same_time_is_appended_once(open_as: Open) -> None:
    stream = uuid4()
    connections = [await open_as("service") for _ in range(6)]
    answers = await asyncio.gather(
        *(append(c, stream, "a", "b", key="k") for c in connections)
    )
    assert sorted(row.outcome for row in answers) == ["appended"] + ["duplicate"] * 5
    assert {row.digest for row in answers} == {answers[0].digest}
    assert await positions(connections[0]) == [1, 2]
