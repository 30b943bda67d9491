"""The appender: batches, neighbours, turns, bounds, deadlines, shutting down."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from service.db.guard import Guard
from service.db.pool import Database, Pool
from service.errors import (
    AppenderFull,
    AppendUnknown,
    BadEvent,
    HeldConnection,
    KeyReused,
    StreamPurged,
    Unavailable,
    WrongExpectedVersion,
)
from service.eventstore import store
from service.eventstore.appender import Appender
from service.eventstore.records import (
    NO_STREAM,
    AppendRequest,
    AppendResult,
    NewEvent,
)
from tests.integration.eventstore.appends import (
    PATIENCE_S,
    assert_intact,
    held_head,
    new_stream,
    opened,
    part,
    request,
    together,
    whole_log,
    whole_stream,
    words,
)

Answer = AppendResult | BaseException


async def append_all(
    appender: Appender, requests: Sequence[AppendRequest]
) -> list[Answer]:
    """All at once; what each came to."""
    async with asyncio.timeout(PATIENCE_S):
        return await asyncio.gather(
            *(appender.append(r) for r in requests), return_exceptions=True
        )


async def begun(
    appender: Appender, requests: Sequence[AppendRequest]
) -> list[asyncio.Task[AppendResult]]:
    """Tasks that have all handed their request over."""
    tasks = [asyncio.create_task(appender.append(r)) for r in requests]
    await asyncio.sleep(0)
    return tasks


async def answers(tasks: Sequence[asyncio.Task[Any]]) -> list[Any]:
    async with asyncio.timeout(PATIENCE_S):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def one_batch(
    database: Database, appender: Appender, requests: Sequence[AppendRequest]
) -> list[Answer]:
    """The answers of requests that wait together behind one that is in flight."""
    async with held_head(database) as head:
        first = await begun(appender, [request(new_stream(), "in front")])
        await head.waiting()
        rest = await begun(appender, requests)
        await head.release()
        await answers(first)
        return await answers(rest)


async def test_an_append_tells_where_its_events_are(
    database: Database, appender: Appender
) -> None:
    chat = new_stream()
    await appender.append(request(chat, "one"))
    result = await appender.append(request(chat, "two", "three", expected=1))
    assert result.outcome == "appended"
    (where,) = result.streams
    assert (where.stream, where.first_version, where.last_version) == (chat, 2, 3)
    events = await whole_stream(database, chat)
    assert where.last_position == events[-1].position
    assert where.digest == events[-1].digest


async def test_what_waits_is_one_batch(database: Database, appender: Appender) -> None:
    """One clock reading per statement shows which events came together."""
    await one_batch(database, appender, [request(new_stream()) for _ in range(10)])
    _, *rest = await whole_log(database)
    assert len({e.recorded_at for e in rest}) == 1
    await assert_intact(database)


async def test_a_conflict_hurts_no_neighbour(
    database: Database, appender: Appender
) -> None:
    chat = new_stream()
    await appender.append(request(chat))
    before, wrong, after = await one_batch(
        database,
        appender,
        [
            request(new_stream()),
            request(chat, expected=NO_STREAM),
            request(new_stream()),
        ],
    )
    assert isinstance(before, AppendResult)
    assert isinstance(after, AppendResult)
    assert isinstance(wrong, WrongExpectedVersion)
    assert (wrong.stream, wrong.expected, wrong.actual) == (str(chat), 0, 1)


async def test_an_event_that_the_database_refuses_hurts_no_neighbour(
    database: Database, appender: Appender
) -> None:
    """A key too long for its index passes every check but the database's."""
    keys = ["".join(str(uuid4()) for _ in range(500)) for _ in range(2)]
    bad = [request(new_stream(), key=key) for key in keys]
    good = [request(new_stream(), "good") for _ in range(5)]
    came = await one_batch(
        database, appender, [*good[:2], bad[0], *good[2:4], bad[1], good[4]]
    )
    assert [type(a) for a in came] == [
        AppendResult,
        AppendResult,
        BadEvent,
        AppendResult,
        AppendResult,
        BadEvent,
        AppendResult,
    ]
    assert words(await whole_log(database)).count("good") == 5
    await assert_intact(database)


@pytest.mark.parametrize(
    "bad",
    [
        request(new_stream(), NewEvent("said", 1, {"text": "a\0b"})),
        request(new_stream(), NewEvent("said", 1, {"a\0b": 1})),
        request(new_stream(), NewEvent("said", 1, {"text": "\ud800"})),
        request(new_stream(), NewEvent("said", 1, {"\udfff": 1})),
        request(new_stream(), NewEvent("said", 1, {}, {"actor": "\0"})),
        request(new_stream(), NewEvent("sa\0id", 1, {})),
        request(new_stream(), NewEvent("said", 1, {"number": 2**70})),
        request(new_stream(), NewEvent("said", 40_000, {})),
        request(new_stream(), key="a\0b"),
        request(new_stream(), key="\ud800"),
    ],
    ids=[
        "nul",
        "nul-in-key",
        "surrogate",
        "surrogate-in-key",
        "nul-in-metadata",
        "nul-in-type",
        "huge-number",
        "schema-version",
        "nul-in-idempotency-key",
        "surrogate-in-idempotency-key",
    ],
)
async def test_bad_text_never_enters_a_batch(
    database: Database, appender: Appender, bad: AppendRequest
) -> None:
    good, refused = await one_batch(database, appender, [request(new_stream()), bad])
    assert isinstance(good, AppendResult)
    assert isinstance(refused, BadEvent)
    assert len(await whole_log(database)) == 2


async def test_a_backslash_before_u0000_is_no_nul(
    database: Database, appender: Appender
) -> None:
    chat = new_stream()
    await appender.append(request(chat, "\\u0000", "\\\\u0000"))
    assert words(await whole_stream(database, chat)) == ["\\u0000", "\\\\u0000"]


async def test_a_caller_cancelled_in_the_queue_withdraws_its_request(
    database: Database, appender: Appender
) -> None:
    chat = new_stream()
    async with held_head(database) as head:
        first = await begun(appender, [request(new_stream(), "in front")])
        await head.waiting()
        queued = await begun(
            appender,
            [request(new_stream(), "a"), request(chat, "b"), request(chat, "c")],
        )
        queued[1].cancel()
        await asyncio.sleep(0)
        await head.release()
        await answers(first)
        before, cancelled, after = await answers(queued)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert isinstance(before, AppendResult)
    assert isinstance(after, AppendResult)
    assert words(await whole_log(database)) == ["in front", "a", "c"]


async def test_a_caller_cancelled_in_flight_does_not_stop_the_batch(
    database: Database, appender: Appender
) -> None:
    async with held_head(database) as head:
        flying = await begun(
            appender, [request(new_stream(), "a"), request(new_stream(), "b")]
        )
        await head.waiting()
        flying[0].cancel()
        await asyncio.sleep(0)
        await head.release()
        cancelled, neighbour = await answers(flying)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert isinstance(neighbour, AppendResult)
    assert words(await whole_log(database)) == ["a", "b"]


async def test_the_same_key_gives_the_first_result(
    database: Database, appender: Appender
) -> None:
    chat = new_stream()
    asked = request(chat, "one", "two")
    first = await appender.append(asked)
    again = await appender.append(asked)
    assert (first.outcome, again.outcome) == ("appended", "duplicate")
    assert again.streams == first.streams
    with pytest.raises(KeyReused):
        await appender.append(request(chat, key=asked.key, request_hash=b"other"))
    assert words(await whole_stream(database, chat)) == ["one", "two"]


async def test_one_key_many_times_at_once_is_appended_once(
    database: Database, appender: Appender
) -> None:
    asked = request(new_stream())
    came = await append_all(appender, [asked] * 20)
    outcomes = [a.outcome for a in came if isinstance(a, AppendResult)]
    assert sorted(outcomes) == ["appended"] + ["duplicate"] * 19
    assert len(await whole_log(database)) == 1


async def test_one_request_a_stream_is_in_flight(
    database: Database, appender: Appender
) -> None:
    """Requests of one stream keep their order, and each decides on the one before."""
    chat = new_stream()
    requests = [request(chat, str(n), expected=n) for n in range(50)]
    came = await append_all(appender, requests)
    assert all(isinstance(a, AppendResult) for a in came)
    events = await whole_stream(database, chat)
    assert words(events) == [str(n) for n in range(50)]
    assert len({e.recorded_at for e in events}) == 50


async def test_requests_of_several_streams_take_turns_with_single_ones(
    database: Database, appender: Appender
) -> None:
    a, b, c = (new_stream() for _ in range(3))
    came = await one_batch(
        database,
        appender,
        [
            request(a, "a1"),
            together(part(a, "ab2"), part(b, "ab1")),
            request(b, "b2"),
            together(part(b, "bc3"), part(c, "bc1")),
            request(c, "c2"),
            request(a, "a3"),
        ],
    )
    assert all(isinstance(answer, AppendResult) for answer in came)
    assert words(await whole_stream(database, a)) == ["a1", "ab2", "a3"]
    assert words(await whole_stream(database, b)) == ["ab1", "b2", "bc3"]
    assert words(await whole_stream(database, c)) == ["bc1", "c2"]
    await assert_intact(database)


async def test_a_conflict_of_several_streams_names_the_one_that_moved(
    appender: Appender,
) -> None:
    root, child = new_stream(), new_stream()
    await appender.append(request(root, "one", "two"))
    with pytest.raises(WrongExpectedVersion) as conflict:
        await appender.append(together(part(child, expected=0), part(root, expected=1)))
    assert conflict.value.stream == str(root)
    assert (conflict.value.expected, conflict.value.actual) == (1, 2)


async def test_a_request_above_the_limits_is_a_batch_of_its_own(
    database: Database, appender: Appender
) -> None:
    large, long = new_stream(), new_stream()
    came = await one_batch(
        database,
        appender,
        [
            request(new_stream(), "a"),
            request(large, "x" * 1_500_000),
            request(long, *(["y"] * 700)),
            request(new_stream(), "b"),
        ],
    )
    assert all(isinstance(answer, AppendResult) for answer in came)
    at = {e.stream: e.recorded_at for e in await whole_log(database)}
    assert len(set(at.values())) == 5
    assert len(await whole_stream(database, long)) == 700
    await assert_intact(database)


async def test_a_full_queue_refuses_at_once(database: Database, guard: Guard) -> None:
    async with (
        Appender(database, guard=guard, queue_size=3, deadline_s=60) as appender,
        held_head(database) as head,
    ):
        waiting = await begun(appender, [request(new_stream()) for _ in range(3)])
        with pytest.raises(AppenderFull):
            await appender.append(request(new_stream()))
        await head.release()
        assert all(isinstance(a, AppendResult) for a in await answers(waiting))
        assert await appender.append(request(new_stream()))
    assert len(await whole_log(database)) == 4


async def test_the_queue_is_bounded_in_bytes(
    database: Database, appender: Appender
) -> None:
    async with held_head(database) as head:
        text = "x" * 20_000_000
        waiting = await begun(appender, [request(new_stream(), text) for _ in range(3)])
        with pytest.raises(AppenderFull):
            await appender.append(request(new_stream(), text))
        for task in waiting:
            task.cancel()
        await answers(waiting)
        await head.release()


async def test_past_the_deadline_a_sent_append_is_unknown_and_one_that_waits_is_not(
    database: Database, guard: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    chat = new_stream()
    sent, waits = request(chat, "sent"), request(chat, "waits")
    async with Appender(
        database, guard=guard, queue_size=9, deadline_s=0.3
    ) as appender:
        async with held_head(database) as head:
            unknown, never = await append_all(appender, [sent, waits])
            assert isinstance(unknown, AppendUnknown)
            assert isinstance(never, AppenderFull)
            await head.release()
        again = await appender.append(sent)
        assert again.outcome == "duplicate"
    assert words(await whole_stream(database, chat)) == ["sent"]
    said = [vars(r) for r in caplog.records if "not answered in time" in r.message]
    assert sum(record["requests"] for record in said) == 2
    assert all(record["connected"] for record in said)


async def test_the_appender_drains_before_it_closes(
    database: Database, guard: Guard
) -> None:
    appender = Appender(database, guard=guard, queue_size=99, deadline_s=60)
    async with held_head(database) as head:
        async with appender:
            tasks = await begun(appender, [request(new_stream()) for _ in range(40)])
            await head.waiting()
            await head.release()
        assert all(task.done() for task in tasks)
        assert all(isinstance(a, AppendResult) for a in await answers(tasks))
    with pytest.raises(Unavailable):
        await appender.append(request(new_stream()))
    assert len(await whole_log(database)) == 40


async def test_closing_without_an_end_in_sight_ends_at_the_deadline(
    database: Database, guard: Guard
) -> None:
    async with held_head(database):
        async with Appender(
            database, guard=guard, queue_size=9, deadline_s=0.3
        ) as appender:
            tasks = await begun(appender, [request(new_stream())])
        (answer,) = await answers(tasks)
    assert isinstance(answer, AppendUnknown)


async def test_no_append_while_a_connection_is_held(
    pool: Pool, appender: Appender
) -> None:
    async with pool.connection():
        with pytest.raises(HeldConnection):
            await appender.append(request(new_stream()))


async def test_a_purged_stream_takes_nothing(
    database: Database, appender: Appender
) -> None:
    chat = new_stream()
    await appender.append(request(chat, NewEvent("stream_purged", 1, {})))
    came = await one_batch(database, appender, [request(chat), request(new_stream())])
    assert isinstance(came[0], StreamPurged)
    assert isinstance(came[1], AppendResult)


async def test_64_writers_keep_the_order_of_their_streams(
    database: Database, appender: Appender
) -> None:
    """Every writer decides on its own last answer; nothing is lost, nothing doubled."""
    writers, each = 64, 50
    streams = [new_stream() for _ in range(writers)]

    async def write(number: int) -> None:
        digest = None
        for n in range(each):
            result = await appender.append(
                request(streams[number], f"{number}:{n}", expected=n, digest=digest)
            )
            digest = result.streams[0].digest

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        for number in range(writers):
            group.create_task(write(number))
    for number, stream in enumerate(streams):
        said = words(await whole_stream(database, stream))
        assert said == [f"{number}:{n}" for n in range(each)]
    log = await whole_log(database)
    assert len(log) == writers * each
    assert all(a.recorded_at <= b.recorded_at for a, b in pairwise(log))
    await assert_intact(database)


async def test_readers_at_the_tail_see_a_busy_log_in_order(
    database: Database, appender: Appender
) -> None:
    total = 2_000
    seen: list[int] = []

    async def follow() -> None:
        async with opened(database) as connection:
            while len(seen) < total:
                page = await store.read_log(connection, len(seen), 100)
                seen.extend(e.position for e in page)

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        group.create_task(follow())
        for _ in range(total):
            group.create_task(appender.append(request(new_stream())))
    assert seen == list(range(1, total + 1))
