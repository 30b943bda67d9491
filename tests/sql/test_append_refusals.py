"""What es.append refuses: purged streams, old snapshots, malformed batches, events."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from service import wire
from service.db.pool import Connection
from service.db.sqlstate import ES_FAULT, ES_MALFORMED, sqlstate_of
from tests.sql.batch import Batch, append, positions


async def test_purged_stream_takes_nothing_more(service: Connection) -> None:
    stream, other = uuid4(), uuid4()
    await append(service, stream, "a", "stream_purged")
    batch = (
        Batch()
        .add(stream, "b", request=1)
        .add(other, "b", request=1)
        .add(uuid4(), "c", request=2)
    )
    answer = await batch.append(service)
    assert [row.outcome for row in answer] == ["purged", "purged", "appended"]


async def test_stream_id_of_another_category_is_refused(service: Connection) -> None:
    stream = uuid4()
    await append(service, stream, "a")
    with pytest.raises(psycopg.errors.UniqueViolation):
        await append(service, stream, "b", category="other")
    assert await positions(service) == [1]


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
async def test_older_snapshot_is_refused(service: Connection, level: str) -> None:
    await service.execute(f"SET default_transaction_isolation = '{level}'".encode())
    with pytest.raises(psycopg.DatabaseError) as caught:
        await append(service, uuid4(), "a")
    assert sqlstate_of(caught.value) == ES_FAULT
    assert detail(caught.value)["actual"] == level.lower()
    assert caught.value.diag.message_hint


async def test_missing_head_row_is_refused(
    service: Connection, admin: Connection
) -> None:
    """Without the row there would be no lock, and no order."""
    await admin.execute("DELETE FROM es.head")
    with pytest.raises(psycopg.DatabaseError) as caught:
        await append(service, uuid4(), "a")
    assert sqlstate_of(caught.value) == ES_FAULT


def _empty(batch: Batch) -> None:
    for values in vars(batch).values():
        values.clear()


def _twice(batch: Batch) -> None:
    batch.add(batch.stream_ids[0] or uuid4(), "c", request=2)


def _streams(order: list[int | None]) -> Any:
    def change(batch: Batch) -> None:
        batch.add(uuid4(), "c", request=2)
        batch.event_streams = order

    return change


def _set(name: str, index: int, new: Any) -> Any:
    def change(batch: Batch) -> None:
        getattr(batch, name)[index] = new

    return change


def _drop(name: str) -> Any:
    return lambda batch: getattr(batch, name).pop()


DISORDER: list[list[int | None]] = [
    [1, 2, 1],
    [2, 1, 1],
    [1, 1, 1],
    [2, 2, 2],
    [1, 1, 3],
    [0, 1, 2],
    [1, 2, None],
    [None, 1, 2],
    [1, None, 2],
]
"""Which of two streams each of three events belongs to; [1, 1, 2] is one right way.

Every stream has events, next to each other: a page could end inside an append else."""

MALFORMED = [
    (_empty, "it is empty"),
    (_twice, "a stream occurs twice"),
    *[
        (_drop(name), "the arrays of streams differ in length")
        for name in (
            *("requests", "categories", "expected"),
            *("expected_digests", "keys", "request_hashes"),
        )
    ],
    *[
        (_drop(name), "the arrays of events differ in length")
        for name in ("types", "schema_versions", "datas", "metadatas")
    ],
    *[
        (_set(name, 0, None), "is null")
        for name in ("requests", "stream_ids", "expected", "keys", "request_hashes")
    ],
    *[(_set("event_streams", 0, n), "in order") for n in (0, 2, None)],
    *[(_streams(order), "in order") for order in DISORDER],
]


async def test_malformed_batch_is_refused_whole(service: Connection) -> None:
    for spoil, problem in MALFORMED:
        batch = Batch().add(uuid4(), "a", "b")
        spoil(batch)
        with pytest.raises(psycopg.DatabaseError, match=problem) as caught:
            await batch.append(service)
        assert sqlstate_of(caught.value) == ES_MALFORMED
        assert problem in detail(caught.value)["problem"]
        assert caught.value.diag.message_hint
    assert await positions(service) == []


BAD_EVENTS = [
    (_set("types", 0, None), psycopg.errors.NotNullViolation),
    (_set("categories", 0, None), psycopg.errors.NotNullViolation),
    (_set("datas", 0, None), psycopg.errors.NotNullViolation),
    (_set("datas", 0, Jsonb([])), psycopg.errors.CheckViolation),
    (_set("metadatas", 0, Jsonb("x")), psycopg.errors.CheckViolation),
    (_set("schema_versions", 0, 0), psycopg.errors.CheckViolation),
    (_set("keys", 0, ""), psycopg.errors.CheckViolation),
    (_set("keys", 0, "k" * 257), psycopg.errors.CheckViolation),
]


async def test_bad_event_fails_its_batch(service: Connection) -> None:
    """The tables hold what es.append does not check; nothing of the batch stays."""
    for spoil, error in BAD_EVENTS:
        batch = Batch().add(uuid4(), "a").add(uuid4(), "b", request=2)
        spoil(batch)
        with pytest.raises(error):
            await batch.append(service)
    await append(service, uuid4(), "c")
    assert await positions(service) == [1]


def detail(error: psycopg.Error) -> dict[str, Any]:
    """The JSON of an error's DETAIL."""
    answer: dict[str, Any] = wire.loads(error.diag.message_detail or "")
    return answer
