"""es.read_stream, es.read_log, es.find_request: pages that end at append borders."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from service.db.pool import Connection
from tests.sql.batch import append, rows, value

COLUMNS = [
    *("position", "category", "stream_id", "version", "append_last", "type"),
    *("schema_version", "data", "metadata", "recorded_at", "digest"),
]

STREAM = "SELECT version FROM es.read_stream('chat', %s, %s, %s)"

LOG = "SELECT position FROM es.read_log(%s, %s)"


@pytest_asyncio.fixture
async def streams(service: Connection) -> tuple[UUID, UUID]:
    """Two streams: positions 1 | 2 3 4 of the first, 5 6 of the second, 7 first."""
    one, two = uuid4(), uuid4()
    await append(service, one, "a")
    await append(service, one, "b", "c", "d")
    await append(service, two, "e", "f")
    await append(service, one, "g")
    return one, two


async def test_both_readers_give_the_same_columns(
    service: Connection, streams: tuple[UUID, UUID]
) -> None:
    log = await service.execute("SELECT * FROM es.read_log(0, 10)")
    stream = await service.execute(
        "SELECT * FROM es.read_stream('chat', %s, 0, 10)", [streams[0]]
    )
    for cursor in (log, stream):
        assert [column.name for column in cursor.description or ()] == COLUMNS
    first = await log.fetchone()
    assert first == await stream.fetchone()
    assert first is not None
    assert first[:9] == (1, "chat", streams[0], 1, 1, "a", 1, {"n": 1}, {})


@pytest.mark.parametrize(
    ("after", "limit", "versions"),
    [
        (0, 100, [1, 2, 3, 4, 5]),
        (0, 1, [1]),
        (0, 2, [1, 2, 3, 4]),
        (1, 1, [2, 3, 4]),
        (1, 3, [2, 3, 4]),
        (2, 1, [3, 4]),
        (4, 1, [5]),
        (5, 1, []),
        (99, 1, []),
        (0, 0, [1]),
        (0, 2147483647, [1, 2, 3, 4, 5]),
        (2147483647, 2147483647, []),
    ],
)
async def test_page_of_a_stream(
    service: Connection,
    streams: tuple[UUID, UUID],
    after: int,
    limit: int,
    versions: list[int],
) -> None:
    found = await rows(service, STREAM, [streams[0], after, limit])
    assert [row[0] for row in found] == versions


@pytest.mark.parametrize(
    ("after", "limit", "positions"),
    [
        (0, 100, [1, 2, 3, 4, 5, 6, 7]),
        (0, 1, [1]),
        (0, 2, [1, 2, 3, 4]),
        (0, 5, [1, 2, 3, 4, 5, 6]),
        (3, 1, [4]),
        (6, 1, [7]),
        (7, 1, []),
        (10**12, 1, []),
    ],
)
async def test_page_of_the_log(
    service: Connection,
    streams: tuple[UUID, UUID],
    after: int,
    limit: int,
    positions: list[int],
) -> None:
    found = await rows(service, LOG, [after, limit])
    assert [row[0] for row in found] == positions


async def test_missing_stream_and_wrong_category_are_empty(
    service: Connection, streams: tuple[UUID, UUID]
) -> None:
    assert await rows(service, STREAM, [uuid4(), 0, 10]) == []
    assert (
        await rows(
            service, "SELECT * FROM es.read_stream('platform', %s, 0, 9)", [streams[0]]
        )
        == []
    )


async def test_log_gives_data_of_followed_streams_only(
    service: Connection, streams: tuple[UUID, UUID]
) -> None:
    """Of all others the heads: a process that follows three chats reads three."""
    query = "SELECT data IS NOT NULL, metadata IS NOT NULL FROM es.read_log(0, 9, %s)"
    found = await rows(service, query, [[streams[1]]])
    assert found == [(False, False)] * 4 + [(True, True)] * 2 + [(False, False)]
    assert set(await rows(service, query, [[]])) == {(False, False)}
    assert set(await rows(service, query, [None])) == {(True, True)}


async def test_find_request(service: Connection) -> None:
    stream = uuid4()
    await append(service, stream, "a")
    await append(service, stream, "b", "c", key="k")
    query = "SELECT request_hash, first_version, last_version FROM es.find_request("
    ((request_hash, first, last),) = await rows(
        service, query + "'chat', %s, 'k')", [stream]
    )
    assert (len(request_hash), first, last) == (32, 2, 3)
    for arguments in ("'chat', %s, 'other')", "'platform', %s, 'k')"):
        assert await rows(service, query + arguments, [stream]) == []


async def test_readers_work_on_an_empty_log(service: Connection) -> None:
    assert await rows(service, LOG, [0, 10]) == []
    assert await value(service, "SELECT head FROM ops.log_overview") == 0
