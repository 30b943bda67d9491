"""The log's functions as the service calls them: append, read, find."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import psycopg
import pytest

from service.db.pool import Connection, Database
from service.eventstore import store
from service.eventstore.records import (
    ANY,
    NO_STREAM,
    AppendRequest,
    NewEvent,
    StreamName,
)
from service.eventstore.store import RequestOutcome
from tests.integration.eventstore.appends import (
    HASH,
    assert_intact,
    event,
    new_stream,
    opened,
    part,
    request,
    together,
    whole_log,
    whole_stream,
    words,
)


async def append(connection: Connection, asked: AppendRequest) -> RequestOutcome:
    (outcome,) = await store.append(connection, [asked])
    return outcome


# expected versions


async def test_any_appends_to_a_new_and_to_an_existing_stream(
    database: Database,
) -> None:
    chat = new_stream()
    async with opened(database) as connection:
        first = await append(connection, request(chat, "one", expected=ANY))
        second = await append(connection, request(chat, "two", "three", expected=ANY))
    assert (first.outcome, second.outcome) == ("appended", "appended")
    (where,) = second.streams
    assert (where.first_version, where.last_version) == (2, 3)
    assert words(await whole_stream(database, chat)) == ["one", "two", "three"]


async def test_no_stream_conflicts_with_an_existing_one(database: Database) -> None:
    chat = new_stream()
    async with opened(database) as connection:
        made = await append(connection, request(chat, expected=NO_STREAM))
        again = await append(connection, request(chat, expected=NO_STREAM))
    assert made.outcome == "appended"
    assert (again.outcome, again.streams[0].last_version) == ("conflict", 1)


async def test_a_version_must_be_the_actual_one(database: Database) -> None:
    chat = new_stream()
    async with opened(database) as connection:
        await append(connection, request(chat, "one", "two"))
        for wrong in (0, 1, 3):
            refused = await append(connection, request(chat, expected=wrong))
            assert refused.outcome == "conflict"
            assert refused.streams[0].last_version == 2
        right = await append(connection, request(chat, "three", expected=2))
    assert right.outcome == "appended"
    assert words(await whole_stream(database, chat)) == ["one", "two", "three"]


async def test_a_version_on_a_missing_stream_conflicts(database: Database) -> None:
    async with opened(database) as connection:
        refused = await append(connection, request(new_stream(), expected=1))
    assert (refused.outcome, refused.streams[0].last_version) == ("conflict", 0)


async def test_the_digest_of_the_expected_version_is_compared(
    database: Database,
) -> None:
    chat = new_stream()
    async with opened(database) as connection:
        made = await append(connection, request(chat))
        digest = made.streams[0].digest
        other = await append(connection, request(chat, expected=1, digest=b"x" * 32))
        same = await append(connection, request(chat, expected=1, digest=digest))
    assert (other.outcome, same.outcome) == ("conflict", "appended")


async def test_one_of_many_writers_with_one_expectation_wins(
    database: Database,
) -> None:
    chat = new_stream()

    async def write(number: int) -> str:
        async with opened(database, name=f"writer-{number}") as connection:
            asked = request(chat, str(number), expected=NO_STREAM)
            return (await append(connection, asked)).outcome

    outcomes = await asyncio.gather(*(write(n) for n in range(8)))
    assert sorted(outcomes) == ["appended"] + ["conflict"] * 7
    assert len(await whole_stream(database, chat)) == 1


async def test_concurrent_appends_to_any_version_all_succeed(
    database: Database,
) -> None:
    chat = new_stream()

    async def write(number: int) -> str:
        async with opened(database, name=f"writer-{number}") as connection:
            return (await append(connection, request(chat, str(number)))).outcome

    outcomes = await asyncio.gather(*(write(n) for n in range(8)))
    assert outcomes == ["appended"] * 8
    assert sorted(words(await whole_stream(database, chat))) == list("01234567")


# batches


async def test_many_events_in_one_append_share_one_border(database: Database) -> None:
    chat = new_stream()
    said = [str(n) for n in range(1_200)]
    async with opened(database) as connection:
        outcome = await append(connection, request(chat, *said))
    (where,) = outcome.streams
    assert (where.first_version, where.last_version) == (1, 1_200)
    events = await whole_stream(database, chat)
    assert words(events) == said
    assert {e.append_last for e in events} == {1_200}
    assert events[-1].digest == where.digest
    assert [e.at_border for e in events].count(True) == 1


async def test_a_bad_neighbour_in_a_batch_hurts_nobody(database: Database) -> None:
    old, chats = new_stream(), [new_stream() for _ in range(5)]
    used = request(old, key="test:used")
    async with opened(database) as connection:
        await append(connection, used)
        outcomes = await store.append(
            connection,
            [
                request(chats[0], "first"),
                request(chats[1], expected=7),
                used,
                request(chats[2], "second", "third"),
                together(part(chats[3]), part(chats[4], expected=1)),
            ],
        )
    assert [o.outcome for o in outcomes] == [
        "appended",
        "conflict",
        "duplicate",
        "appended",
        "conflict",
    ]
    log = await whole_log(database)
    assert words(log) == ["hello", "first", "second", "third"]
    await assert_intact(database)


async def test_streams_of_one_request_stand_or_fall_together(
    database: Database,
) -> None:
    root, child = new_stream(), new_stream()
    async with opened(database) as connection:
        await append(connection, request(root))
        wrong = await append(
            connection,
            together(part(child, "born", expected=0), part(root, expected=2)),
        )
        right = await append(
            connection,
            together(
                part(child, "born", expected=0),
                part(root, "had a child", "rests", expected=1),
            ),
        )
    assert wrong.outcome == "conflict"
    assert [s.last_version for s in wrong.streams] == [0, 1]
    assert right.outcome == "appended"
    assert [s.stream for s in right.streams] == [child, root]
    assert [(s.first_version, s.last_version) for s in right.streams] == [
        (1, 1),
        (2, 3),
    ]
    assert words(await whole_stream(database, child)) == ["born"]


async def test_a_stream_in_two_requests_of_a_batch_is_refused(
    database: Database,
) -> None:
    chat = new_stream()
    async with opened(database) as connection:
        with pytest.raises(psycopg.DatabaseError) as refused:
            await store.append(connection, [request(chat), request(chat)])
    assert refused.value.sqlstate == "ES422"
    assert await whole_log(database) == []


async def test_large_appends_of_two_writers_do_not_interleave(
    database: Database,
) -> None:
    async def write(chat: StreamName) -> None:
        async with opened(database) as connection:
            await append(connection, request(chat, *(["x"] * 1_000)))

    await asyncio.gather(*(write(new_stream()) for _ in range(2)))
    streams = [e.stream for e in await whole_log(database)]
    assert len(set(streams[:1_000])) == 1
    assert len(set(streams[1_000:])) == 1
    await assert_intact(database)


# idempotency


async def test_the_same_key_and_hash_gives_the_first_result(
    database: Database,
) -> None:
    chat = new_stream()
    asked = request(chat, "one", "two", expected=0, key="test:k")
    async with opened(database) as connection:
        first = await append(connection, asked)
        await append(connection, request(chat, "three"))
        again = await append(connection, asked)
    assert again.outcome == "duplicate"
    assert again.streams == first.streams
    assert words(await whole_stream(database, chat)) == ["one", "two", "three"]


async def test_the_same_key_with_another_hash_is_told_apart(
    database: Database,
) -> None:
    chat = new_stream()
    async with opened(database) as connection:
        await append(connection, request(chat, key="test:k"))
        reused = await append(
            connection, request(chat, key="test:k", request_hash=b"y" * 32)
        )
        elsewhere = await append(connection, request(new_stream(), key="test:k"))
    assert (reused.outcome, elsewhere.outcome) == ("key_reused", "appended")


async def test_find_request_tells_hash_and_versions(database: Database) -> None:
    chat = new_stream()
    async with opened(database) as connection:
        await append(connection, request(chat))
        await append(connection, request(chat, "a", "b", key="test:k"))
        found = await store.find_request(connection, chat, "test:k")
        missing = await store.find_request(connection, chat, "test:other")
    assert found == (HASH, 2, 3)
    assert missing is None


# what is stored


async def test_events_come_back_as_they_went_in(database: Database) -> None:
    chat = new_stream()
    data = {
        "text": 'Grüße, 你好, 🐘, \\u0000 as letters, "quotes", tab\t, { } , \\',
        "numbers": [0, -1, 2**53, 1.5, 1e-9],
        "nothing": None,
        "nested": {"deep": [{"er": True}]},
        "": "empty key",
    }
    metadata = {"id": str(uuid4()), "actor": "user:ü"}
    async with opened(database) as connection:
        await append(
            connection, request(chat, NewEvent("typed", 3, data, metadata), event())
        )
    first, second = await whole_stream(database, chat)
    assert (first.type, first.schema_version) == ("typed", 3)
    assert (first.data, first.metadata) == (data, metadata)
    assert first.stream == chat
    assert first.recorded_at == second.recorded_at
    assert first.recorded_at.tzinfo is not None
    assert len(first.digest) == 32
    assert first.digest != second.digest


async def test_metadata_may_be_empty(database: Database) -> None:
    chat = new_stream()
    async with opened(database) as connection:
        await append(connection, request(chat, NewEvent("bare", 1, {})))
    (recorded,) = await whole_stream(database, chat)
    assert (recorded.data, recorded.metadata) == ({}, {})


# reading


@pytest.fixture
def chat() -> StreamName:
    return new_stream()


async def test_a_missing_stream_reads_empty(database: Database) -> None:
    assert await whole_stream(database, new_stream()) == []


async def test_streams_and_categories_are_read_apart(database: Database) -> None:
    chat, other = new_stream(), new_stream()
    async with opened(database) as connection:
        await store.append(connection, [request(chat, "mine"), request(other, "his")])
        elsewhere = StreamName("other", chat.stream_id)
        assert words(await store.read_stream(connection, chat)) == ["mine"]
        assert words(await store.read_stream(connection, other)) == ["his"]
        assert await store.read_stream(connection, elsewhere) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 500])
async def test_pages_follow_each_other_without_gap(
    database: Database, chat: StreamName, limit: int
) -> None:
    async with opened(database) as connection:
        for n in range(7):
            await append(connection, request(chat, str(n)))
        seen: list[str] = []
        while page := await store.read_stream(connection, chat, len(seen), limit):
            assert len(page) <= limit
            seen += words(page)
    assert seen == [str(n) for n in range(7)]


async def test_a_page_of_a_stream_ends_at_a_border(
    database: Database, chat: StreamName
) -> None:
    async with opened(database) as connection:
        await append(connection, request(chat, "a", "b", "c"))
        await append(connection, request(chat, "d"))
        page = await store.read_stream(connection, chat, 0, 2)
        middle = await store.read_stream(connection, chat, 1, 1)
        end = await store.read_stream(connection, chat, 4, 10)
        beyond = await store.read_stream(connection, chat, 99, 10)
    assert words(page) == ["a", "b", "c"]
    assert words(middle) == ["b", "c"]
    assert end == beyond == []


async def test_a_page_of_the_log_ends_at_a_border(database: Database) -> None:
    async with opened(database) as connection:
        await store.append(
            connection,
            [request(new_stream(), "a", "b", "c"), request(new_stream(), "d")],
        )
        page = await store.read_log(connection, 0, 2)
        rest = await store.read_log(connection, page[-1].position, 2)
        assert await store.read_log(connection, rest[-1].position, 2) == []
    assert page[-1].at_border
    assert words([*page, *rest]) == ["a", "b", "c", "d"]


async def test_the_log_gives_heads_of_streams_nobody_asked_for(
    database: Database,
) -> None:
    followed, other = new_stream(), new_stream()
    async with opened(database) as connection:
        await store.append(connection, [request(followed), request(other)])
        log = await store.read_log(
            connection, 0, with_data_of={followed.stream_id, UUID(int=1)}
        )
        heads = await store.read_log(connection, 0, with_data_of=())
    assert [e.data is None for e in log] == [False, True]
    assert [e.metadata is None for e in log] == [False, True]
    assert [e.data for e in heads] == [None, None]
    assert [e.digest for e in heads] == [e.digest for e in log]


async def test_readers_at_the_tail_see_every_position_in_order(
    database: Database,
) -> None:
    """Ten writers, two readers that read on and on from their own place."""
    writers, each = 10, 20
    finished = asyncio.Event()

    async def write() -> None:
        async with opened(database) as connection:
            for _ in range(each):
                await append(connection, request(new_stream()))

    async def follow() -> list[int]:
        seen: list[int] = []
        async with opened(database) as connection:
            while True:
                last = finished.is_set()
                page = await store.read_log(connection, len(seen), 7)
                seen += [e.position for e in page]
                if last and not page:
                    return seen

    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(follow()) for _ in range(2)]
        async with asyncio.TaskGroup() as writing:
            for _ in range(writers):
                writing.create_task(write())
        finished.set()
    for reader in readers:
        assert reader.result() == list(range(1, writers * each + 1))
