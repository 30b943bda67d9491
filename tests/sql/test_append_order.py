"""Positions are gapless and appear in order, whatever transactions do to each other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from psycopg.errors import AdminShutdown, LockNotAvailable

from service.db.pool import Connection
from tests.sql.batch import Batch, append, positions, rows, value
from tests.sql.conftest import Open

WAIT = "SET lock_timeout = '300ms'"
"""Long enough to be sure that a lock is meant, short enough for a test."""


async def newer(connection: Connection, position: int) -> list[int]:
    """What a reader that has come to `position` reads next."""
    found = await rows(
        connection, "SELECT position FROM es.read_log(%s, 1000)", [position]
    )
    return [row[0] for row in found]


async def test_sequence_loses_an_event(admin: Connection, open_as: Open) -> None:
    """What all this is for: numbers from a sequence commit out of order."""
    one, two = await open_as(None), await open_as(None)
    await admin.execute("CREATE TABLE plain (position bigserial, name text)")
    async with one.transaction():
        await one.execute("INSERT INTO plain (name) VALUES ('first')")
        await two.execute("INSERT INTO plain (name) VALUES ('second')")
        seen = await rows(admin, "SELECT position FROM plain WHERE position > 0")
        assert seen == [(2,)]
    after = await rows(admin, "SELECT position FROM plain WHERE position > 2")
    assert after == []


async def test_log_loses_none(service: Connection, open_as: Open) -> None:
    """The same steps: the second writer waits for the first one's commit."""
    one, two = await open_as("service"), await open_as("service")
    await two.execute(WAIT)
    async with one.transaction():
        await append(one, uuid4(), "first")
        with pytest.raises(LockNotAvailable):
            await append(two, uuid4(), "second")
        assert await newer(service, 0) == []
    await append(two, uuid4(), "second")
    assert await newer(service, 0) == [1, 2]


async def test_readers_never_wait(service: Connection, open_as: Open) -> None:
    writer = await open_as("service")
    await append(service, uuid4(), "a")
    await service.execute(WAIT)
    async with writer.transaction():
        await append(writer, uuid4(), "b")
        assert await positions(service) == [1]


async def test_waiting_writer_numbers_after_the_commit_it_waited_for(
    service: Connection, open_as: Open
) -> None:
    """The last position is read with a snapshot younger than the lock."""
    writer = await open_as("service")
    async with writer.transaction():
        await append(writer, uuid4(), "a", "b")
        waiting = asyncio.create_task(append(service, uuid4(), "c"))
        await _blocked(writer, service)
    assert (await waiting).last_position == 3


async def test_rolled_back_append_leaves_no_hole(
    service: Connection, open_as: Open
) -> None:
    writer = await open_as("service")
    stream = uuid4()
    await append(service, uuid4(), "a")
    async with writer.transaction(force_rollback=True):
        await append(writer, stream, "b", "c")
    async with writer.transaction():
        async with writer.transaction(force_rollback=True):
            await append(writer, stream, "d")
        row = await append(writer, stream, "e")
    assert (row.first_version, row.last_position) == (1, 2)
    assert await positions(service) == [1, 2]


async def test_killed_writer_leaves_no_hole_and_no_lock(
    service: Connection, admin: Connection, open_as: Open
) -> None:
    writer = await open_as("service")
    await writer.execute("BEGIN")
    await append(writer, uuid4(), "a", "b")
    await admin.execute("SELECT pg_terminate_backend(%s)", [writer.info.backend_pid])
    assert (await append(service, uuid4(), "c")).last_position == 1
    with pytest.raises(AdminShutdown):
        await writer.execute("SELECT 1")


async def test_writer_that_falls_asleep_loses_the_lock(
    service: Connection, open_as: Open
) -> None:
    """Between append and commit nothing may wait; Postgres ends who does."""
    writer = await open_as("service")
    await writer.execute("SET idle_in_transaction_session_timeout = '200ms'")
    await writer.execute("BEGIN")
    await append(writer, uuid4(), "a")
    async with asyncio.timeout(30):
        assert (await append(service, uuid4(), "b")).last_position == 1


async def test_open_transactions_elsewhere_hide_nothing(
    service: Connection, admin: Connection, open_as: Open
) -> None:
    """An old transaction id holds up readers that go by ids; ours go by position."""
    other = await open_as(None)
    await other.execute("CREATE TABLE elsewhere (n int)")
    async with other.transaction():
        await other.execute("INSERT INTO elsewhere VALUES (1)")
        await append(service, uuid4(), "a")
        assert await newer(admin, 0) == [1]


async def test_early_transaction_id_changes_no_order(
    service: Connection, open_as: Open
) -> None:
    """A has the older transaction id, B appends first: B's event comes first."""
    stream = uuid4()
    one = await open_as(None)
    await one.execute("CREATE TABLE early (n int)")
    async with one.transaction():
        await one.execute("INSERT INTO early VALUES (1)")
        await append(service, stream, "b")
        await append(one, stream, "a", expected=1)
    stored = await rows(
        service, "SELECT position, version, type FROM es.read_log(0, 10)"
    )
    assert stored == [(1, 1, "b"), (2, 2, "a")]


async def test_old_snapshot_changes_nothing(service: Connection, open_as: Open) -> None:
    """An open dump or report: the head row is locked, never updated, so it rots not."""
    report = await open_as("service")
    where = "SELECT ctid::text, pg_relation_size('es.head') FROM es.head"
    await report.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    assert await positions(report) == []
    dba = await open_as("dba")
    before = await rows(dba, where)
    for _ in range(300):
        await append(service, uuid4(), "a")
    assert await rows(dba, where) == before == [("(0,1)", 8192)]
    assert await positions(service) == list(range(1, 301))
    assert await positions(report) == []


async def test_writer_held_between_number_and_commit_holds_the_next(
    service: Connection, admin: Connection, open_as: Open
) -> None:
    """A gate in the table stops one append after it has its position."""
    gated = uuid4()
    await _build_gate(admin, gated)
    one, two = await open_as("service"), await open_as("service")
    await admin.execute("SELECT pg_advisory_lock(99)")
    first = asyncio.create_task(append(one, gated, "first"))
    await _blocked(admin, one)
    second = asyncio.create_task(append(two, uuid4(), "second"))
    await _blocked(admin, two)
    assert await newer(service, 0) == []
    await admin.execute("SELECT pg_advisory_unlock(99)")
    assert [(await first).last_position, (await second).last_position] == [1, 2]
    assert await newer(service, 0) == [1, 2]


async def test_same_expected_version_at_the_same_time_has_one_winner(
    open_as: Open,
) -> None:
    stream = uuid4()
    writers = [await open_as("service") for _ in range(8)]
    for version in range(5):
        answers = await asyncio.gather(
            *(append(writer, stream, "a", expected=version) for writer in writers)
        )
        outcomes = sorted(row.outcome for row in answers)
        assert outcomes == ["appended"] + ["conflict"] * 7
        assert {row.last_version for row in answers} == {version + 1}


async def test_any_version_at_the_same_time_all_win(open_as: Open) -> None:
    stream = uuid4()
    writers = [await open_as("service") for _ in range(8)]
    answers = await asyncio.gather(*(append(w, stream, "a") for w in writers))
    assert sorted(row.first_version or 0 for row in answers) == list(range(1, 9))


async def test_readers_see_every_position_once_under_load(
    service: Connection, open_as: Open
) -> None:
    """Writers that commit late, roll back and die; readers that follow the end."""
    streams = [uuid4() for _ in range(5)]
    writers = [await open_as("service") for _ in range(5)]
    readers = [await open_as("service") for _ in range(2)]
    done = asyncio.Event()
    following = [asyncio.create_task(_follow(reader, done)) for reader in readers]
    counts = await asyncio.gather(
        *(_write(w, streams, random.Random(n)) for n, w in enumerate(writers))
    )
    done.set()
    seen = await asyncio.gather(*following)
    assert seen == [list(range(1, sum(counts) + 1))] * 2
    assert await rows(service, "SELECT * FROM es.verify_positions(1, 100000)") == []


async def _write(
    writer: Connection, streams: Sequence[UUID], dice: random.Random
) -> int:
    """40 transactions of up to 3 appends, a tenth of them rolled back."""
    kept = 0
    for _ in range(40):
        undo = dice.random() < 0.1
        count = 0
        async with writer.transaction(force_rollback=undo):
            for _ in range(dice.randint(1, 3)):
                events = ["a"] * dice.randint(1, 4)
                await Batch().add(dice.choice(streams), *events).append(writer)
                count += len(events)
        kept += 0 if undo else count
    return kept


async def _follow(reader: Connection, done: asyncio.Event) -> list[int]:
    """Read after the last position until the writers are done and nothing is left."""
    seen: list[int] = []
    while True:
        last = done.is_set()
        found = await newer(reader, seen[-1] if seen else 0)
        seen += found
        if last and not found:
            return seen


async def _blocked(watcher: Connection, waiting: Connection) -> None:
    """Return when the other connection waits for a lock."""
    async with asyncio.timeout(30):
        blockers = 0
        while not blockers:
            blockers = await value(
                watcher,
                "SELECT cardinality(pg_blocking_pids(%s))",
                [waiting.info.backend_pid],
            )


async def _build_gate(admin: Connection, stream: UUID) -> None:
    await admin.execute(
        """
        CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          PERFORM pg_advisory_xact_lock(99);
          RETURN NEW;
        END $$
        """
    )
    await admin.execute(
        "CREATE TRIGGER gate BEFORE INSERT ON es.events FOR EACH ROW"
        f" WHEN (NEW.stream_id = '{stream}') EXECUTE FUNCTION gate()".encode()
    )
