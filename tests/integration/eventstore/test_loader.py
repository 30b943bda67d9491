"""Loading chats: the cache, its digest, its budget, and reads that are shared."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from service.db.guard import Guard
from service.db.pool import Connection, Database, Pool, connect
from service.errors import DatabaseAway
from service.eventstore import store
from service.eventstore.appender import Appender
from service.eventstore.handle import Chats
from service.eventstore.records import NewEvent, RecordedEvent, StreamName
from tests.builders import create, send
from tests.fixtures.purging import purge
from tests.integration.eventstore.appends import (
    PATIENCE_S,
    request,
    whole_stream,
)

TAKE_BACK = """
ALTER TABLE es.events DISABLE TRIGGER USER;
DELETE FROM es.events WHERE version > 2;
"""
"""What a failover to a server that lags does: the newest events never happened."""

TERMINATE_POOL = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'parley/service'
"""


@pytest.fixture
def chats(pool: Pool, appender: Appender) -> Chats:
    return Chats(pool, appender, cache_bytes=1_000_000)


@pytest.fixture
def elsewhere(pool: Pool, appender: Appender) -> Chats:
    """Another process's cache."""
    return Chats(pool, appender, cache_bytes=1_000_000)


class Reads:
    """Every page that is read: after which version, how many events; may be held up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pages: list[tuple[int, int]] = []
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self._read = store.read_stream
        monkeypatch.setattr(store, "read_stream", self.read)

    async def read(
        self, connection: Connection, stream: StreamName, after: int, limit: int
    ) -> list[RecordedEvent]:
        events = await self._read(connection, stream, after, limit)
        self.pages.append((after, len(events)))
        self.begun.set()
        await self.go_on.wait()
        return events


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


async def make(chats: Chats, messages: int = 1) -> UUID:
    chat_id = uuid4()
    await chats.execute(chat_id, create(), actor="a")
    for n in range(messages - 1):
        await chats.execute(chat_id, send(str(n)), actor="a")
    return chat_id


async def test_only_the_tail_is_read(
    chats: Chats, elsewhere: Chats, reads: Reads
) -> None:
    chat_id = await make(chats, 5)
    assert reads.pages == []
    first = await elsewhere.load(chat_id)
    assert reads.pages == [(0, 6)]
    await chats.execute(chat_id, send("new"), actor="a")
    second = await elsewhere.load(chat_id)
    assert reads.pages[1:] == [(5, 2)]
    assert (first.version, second.version) == (6, 7)
    assert second == chats.peek(chat_id)


async def test_a_long_chat_is_read_in_pages(
    database: Database, appender: Appender, chats: Chats, elsewhere: Chats, reads: Reads
) -> None:
    chat_id = await make(chats, 2)
    stream = StreamName("chat", chat_id)
    last = (await whole_stream(database, stream))[-1]
    same = NewEvent(last.type, last.schema_version, last.data or {})
    for _ in range(3):
        await appender.append(request(stream, *([same] * 199)))
    reads.pages.clear()
    loaded = await elsewhere.load(chat_id)
    assert reads.pages == [(0, 202), (202, 398), (600, 0)]
    assert len(loaded.state.queue) == 1 + 3 * 199
    assert loaded == await chats.load(chat_id)


async def test_another_history_is_never_folded_onto_the_cached_one(
    database: Database, chats: Chats, elsewhere: Chats
) -> None:
    chat_id = await make(chats, 3)
    assert (await elsewhere.load(chat_id)).version == 4
    async with await connect(database, role=None, name="failover") as connection:
        await connection.execute(TAKE_BACK)
    elsewhere.forget(chat_id)
    for word in ("x", "y", "z"):
        await elsewhere.execute(chat_id, send(word), actor="a")
    loaded = await chats.load(chat_id)
    assert loaded == elsewhere.peek(chat_id)
    said = [m.parts[0].text for m in loaded.state.queue]  # type: ignore[union-attr]
    assert said == ["x", "y", "z"]


async def test_a_shorter_history_drops_the_cached_one(
    database: Database, chats: Chats
) -> None:
    chat_id = await make(chats, 3)
    async with await connect(database, role=None, name="failover") as connection:
        await connection.execute(TAKE_BACK)
    assert (await chats.load(chat_id)).version == 2


async def test_a_command_decided_on_a_lost_history_is_decided_again(
    database: Database, chats: Chats, elsewhere: Chats
) -> None:
    """Same version, other digest: the append is refused, not folded."""
    chat_id = await make(chats, 2)
    async with await connect(database, role=None, name="failover") as connection:
        await connection.execute(TAKE_BACK)
    await elsewhere.execute(chat_id, send("new history"), actor="a")
    handled = await chats.execute(chat_id, send("after it"), actor="a")
    said = [m.parts[0].text for m in handled.loaded.state.queue]  # type: ignore[union-attr]
    assert said == ["new history", "after it"]


async def test_the_budget_holds(pool: Pool, appender: Appender) -> None:
    chats = Chats(pool, appender, cache_bytes=30_000)
    made = [await make(chats, 3) for _ in range(20)]
    kept = [c for c in made if chats.peek(c) is not None]
    assert 1 < len(kept) < 20
    assert kept == made[-len(kept) :]
    for chat_id in made:
        assert (await chats.load(chat_id)).version == 4


async def test_without_a_budget_everything_still_works(
    pool: Pool, appender: Appender
) -> None:
    chats = Chats(pool, appender, cache_bytes=0)
    chat_id = await make(chats, 3)
    assert chats.peek(chat_id) is None
    assert (await chats.load(chat_id)).version == 4


async def test_forgetting(chats: Chats) -> None:
    a, b = await make(chats), await make(chats)
    chats.forget(a)
    assert chats.peek(a) is None
    assert chats.peek(b) is not None
    chats.forget_all()
    assert chats.peek(b) is None


# the tail feeds the cache


async def test_the_tail_moves_a_cached_chat_on(
    database: Database, chats: Chats, elsewhere: Chats, reads: Reads
) -> None:
    chat_id = await make(chats)
    await elsewhere.load(chat_id)
    await chats.execute(chat_id, send("new"), actor="a")
    events = await whole_stream(database, StreamName("chat", chat_id))
    elsewhere.apply(chat_id, events[:2])
    assert elsewhere.peek(chat_id) != chats.peek(chat_id)
    elsewhere.apply(chat_id, events)
    assert elsewhere.peek(chat_id) == chats.peek(chat_id)


async def test_the_tail_moves_nothing_that_it_does_not_fit(
    database: Database, chats: Chats, elsewhere: Chats
) -> None:
    chat_id = await make(chats)
    cached = await elsewhere.load(chat_id)
    for word in ("one", "two"):
        await chats.execute(chat_id, send(word), actor="a")
    events = await whole_stream(database, StreamName("chat", chat_id))
    elsewhere.apply(chat_id, events[3:])
    elsewhere.apply(chat_id, [])
    elsewhere.apply(uuid4(), events)
    assert elsewhere.peek(chat_id) == cached


async def test_heads_do_not_move_the_cache(
    database: Database, pool: Pool, chats: Chats, elsewhere: Chats
) -> None:
    chat_id = await make(chats)
    cached = await elsewhere.load(chat_id)
    await chats.execute(chat_id, send("new"), actor="a")
    async with pool.connection() as connection:
        heads = await store.read_log(connection, 0, with_data_of=())
    elsewhere.apply(chat_id, heads)
    assert elsewhere.peek(chat_id) == cached


async def test_the_tail_drops_a_cache_of_another_history(
    database: Database, chats: Chats, elsewhere: Chats
) -> None:
    chat_id = await make(chats, 2)
    async with await connect(database, role=None, name="failover") as connection:
        await connection.execute(TAKE_BACK)
    await elsewhere.execute(chat_id, send("new history"), actor="a")
    events = await whole_stream(database, StreamName("chat", chat_id))
    chats.apply(chat_id, events)
    assert chats.peek(chat_id) is None


# shared reads


async def test_loads_at_once_share_one_read(
    chats: Chats, elsewhere: Chats, reads: Reads
) -> None:
    chat_id = await make(chats)
    loaded = await asyncio.gather(*(elsewhere.load(chat_id) for _ in range(30)))
    assert len(reads.pages) == 1
    assert {one.version for one in loaded} == {2}


async def test_who_comes_during_a_read_sees_what_it_could_not(
    chats: Chats, elsewhere: Chats, reads: Reads
) -> None:
    chat_id = await make(chats)
    reads.go_on.clear()
    first = asyncio.create_task(elsewhere.load(chat_id))
    await reads.begun.wait()
    await chats.execute(chat_id, send("meanwhile"), actor="a")
    second = asyncio.create_task(elsewhere.load(chat_id))
    await asyncio.sleep(0)
    reads.go_on.set()
    assert (await first).version == 2
    assert (await second).version == 3
    assert reads.pages[1] == (1, 2)


async def test_a_cancelled_reader_does_not_take_the_others_along(
    chats: Chats, elsewhere: Chats, reads: Reads
) -> None:
    chat_id = await make(chats)
    tasks = [asyncio.create_task(elsewhere.load(chat_id)) for _ in range(4)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[2].cancel()
    async with asyncio.timeout(PATIENCE_S):
        answers = await asyncio.gather(*tasks, return_exceptions=True)
    cancelled = [isinstance(a, asyncio.CancelledError) for a in answers]
    assert cancelled == [True, False, True, False]


async def test_a_connection_lost_in_a_read_is_database_away(
    database: Database, guard: Guard, chats: Chats
) -> None:
    chat_id = await make(chats)
    async with await connect(database, role=None, name="locker") as connection:
        await connection.execute("BEGIN; LOCK TABLE es.events")
        loads = [asyncio.create_task(chats.load(chat_id)) for _ in range(2)]
        async with asyncio.timeout(PATIENCE_S):
            ended = 0
            while not ended:
                await connection.execute("SELECT pg_stat_clear_snapshot()")
                found = await connection.execute(
                    TERMINATE_POOL + "AND wait_event_type = 'Lock'"
                )
                ((ended,),) = await found.fetchall()
        await connection.execute("ROLLBACK")
    answers = await asyncio.gather(*loads, return_exceptions=True)
    assert all(isinstance(a, DatabaseAway) for a in answers)
    assert (await chats.load(chat_id)).version == 2


async def test_a_read_that_a_purge_overtakes_leaves_nothing_behind(
    database: Database, chats: Chats, elsewhere: Chats, reads: Reads
) -> None:
    """It answers what it has read; the next one knows better, and so does the cache."""
    chat_id = await make(chats)
    last = (await whole_stream(database, StreamName("chat", chat_id)))[-1]
    reads.go_on.clear()
    reads.begun.clear()
    loading = asyncio.create_task(elsewhere.load(chat_id))
    async with asyncio.timeout(PATIENCE_S):
        await reads.begun.wait()
    await purge(database, chat_id)
    told = replace(last, version=last.version + 1, type="stream_purged", data=None)
    elsewhere.on_events([told])
    reads.go_on.set()
    assert (await loading).state.exists
    assert elsewhere.peek(chat_id) is None
    assert not (await elsewhere.load(chat_id)).state.exists
    elsewhere.forget_all()
    assert not (await elsewhere.load(chat_id)).state.exists
