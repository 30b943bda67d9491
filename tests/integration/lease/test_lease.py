"""Taking, renewing and giving up leases, by several workers at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from uuid import UUID, uuid4

import psycopg
import pytest
import pytest_asyncio

from service.agent.heartbeat import Heartbeat
from service.db.pool import Database, Pool
from service.errors import DatabaseAway
from service.lease import Lease, Leases
from tests.fixtures.servers import RestartableServer
from tests.integration.faults import cut

LEASE_S = 30.0

Make = Callable[..., Leases]


@pytest_asyncio.fixture
async def make(database: Database) -> AsyncIterator[Make]:
    async with AsyncExitStack() as stack:
        opened: list[Leases] = []

        def leases(worker: str, lease_s: float = LEASE_S) -> Leases:
            made = Leases(database, worker=worker, lease_s=lease_s)
            opened.append(made)
            return made

        yield leases
        for made in opened:
            await stack.enter_async_context(made)


async def taken(by: Leases, chat: UUID, floor: int = 0) -> Lease:
    lease = await by.acquire(chat, floor=floor)
    assert lease is not None
    return lease


async def age(pool: Pool, seconds: float, chat: UUID | None = None) -> None:
    """Make heartbeats older (or, below 0, of a clock that was set back)."""
    async with pool.connection() as connection:
        await connection.execute(
            "UPDATE ops.leases SET heartbeat_at = heartbeat_at"
            " - %s * interval '1 second' WHERE %s::uuid IS NULL OR chat_id = %s",
            (seconds, chat, chat),
        )


async def test_a_free_chat_is_taken_with_a_term_above_the_floor(make: Make) -> None:
    lease = await taken(make("a"), uuid4(), floor=7)
    assert lease.term == 8


async def test_a_held_chat_is_not_taken(make: Make) -> None:
    chat = uuid4()
    await taken(make("a"), chat)
    assert await make("b").acquire(chat, floor=0) is None


async def test_of_many_workers_one_takes_it(make: Make) -> None:
    chat = uuid4()
    workers = [make(f"w{number}") for number in range(8)]
    won = await asyncio.gather(*(w.acquire(chat, floor=3) for w in workers))
    assert [lease.term for lease in won if lease is not None] == [4]


async def test_an_expired_lease_is_taken_with_a_higher_term(
    make: Make, pool: Pool
) -> None:
    chat = uuid4()
    first = await taken(make("a"), chat, floor=5)
    await age(pool, LEASE_S + 1)
    second = await taken(make("b"), chat, floor=0)
    assert second.term == first.term + 1


async def test_the_log_may_know_a_higher_term_than_the_lease(
    make: Make, pool: Pool
) -> None:
    chat = uuid4()
    await taken(make("a"), chat)
    await age(pool, LEASE_S + 1)
    assert (await taken(make("b"), chat, floor=41)).term == 42


async def test_a_heartbeat_from_a_clock_that_was_set_back_does_not_hold_for_ever(
    make: Make, pool: Pool
) -> None:
    chat = uuid4()
    await taken(make("a"), chat)
    await age(pool, -3600)
    assert (await taken(make("b"), chat)).term == 2


async def test_a_worker_whose_answer_was_lost_takes_its_own_row_again(
    make: Make,
) -> None:
    chat = uuid4()
    a = make("a")
    await taken(a, chat)
    assert (await taken(a, chat)).term == 2


async def test_renewing_keeps_others_out(make: Make, pool: Pool) -> None:
    chat = uuid4()
    a = make("a")
    lease = await taken(a, chat)
    await age(pool, LEASE_S + 1)
    assert await a.renew([lease]) == []
    assert await make("b").acquire(chat, floor=0) is None


async def test_renewing_tells_what_is_lost(make: Make, pool: Pool) -> None:
    a, b = make("a"), make("b")
    kept, stolen, gone = [await taken(a, uuid4()) for _ in range(3)]
    await age(pool, LEASE_S + 1, stolen.chat_id)
    await taken(b, stolen.chat_id)
    await a.release([gone])
    before = kept.renewed_at, stolen.renewed_at
    assert await a.renew([kept, stolen, gone]) == [stolen, gone]
    assert kept.renewed_at > before[0]
    assert stolen.renewed_at == before[1]


async def test_a_late_renewal_does_not_touch_a_newer_term(
    make: Make, pool: Pool
) -> None:
    a = make("a")
    old = await taken(a, uuid4())
    await age(pool, LEASE_S + 1)
    new = await taken(a, old.chat_id)
    assert await a.renew([old]) == [old]
    assert await a.renew([new]) == []


async def test_releasing_frees_the_chat_at_once_but_only_ones_own(make: Make) -> None:
    chat = uuid4()
    a, b = make("a"), make("b")
    lease = await taken(a, chat)
    await b.release([Lease(chat, "b", lease.term, 0.0)])
    assert await b.acquire(chat, floor=0) is None
    await a.release([lease])
    assert await b.acquire(chat, floor=lease.term) is not None


async def test_the_next_expiry_is_that_of_another_worker(
    make: Make, pool: Pool
) -> None:
    a, b = make("a"), make("b")
    assert (await b.look()).expiry_s is None
    old, new = await taken(a, uuid4()), await taken(a, uuid4())
    await age(pool, 20.0, old.chat_id)
    seconds = (await b.look()).expiry_s
    assert seconds == pytest.approx(10.0, abs=1.0)
    assert (await a.look()).expiry_s is None
    await age(pool, 20.0, old.chat_id)
    assert (await b.look()).expiry_s == pytest.approx(LEASE_S, abs=1.0)
    assert new.term == 1


async def test_a_cut_connection_is_no_outage(make: Make, database: Database) -> None:
    a = make("a")
    lease = await taken(a, uuid4())
    assert await cut(database, "leases") == 1
    assert await a.renew([lease]) == []


async def test_ten_thousand_leases_are_renewed_by_one_statement(
    make: Make, pool: Pool
) -> None:
    """The budget: one statement per worker and interval."""
    a = make("a")
    leases = [Lease(uuid4(), "a", 1, 0.0) for _ in range(10_000)]
    async with pool.connection() as connection:
        await connection.execute(
            "INSERT INTO ops.leases (chat_id, worker, term)"
            " SELECT c, 'a', 1 FROM unnest(%s::uuid[]) AS c",
            ([lease.chat_id for lease in leases],),
        )
    loop = asyncio.get_running_loop()
    took = []
    for _ in range(5):
        begun = loop.time()
        assert await a.renew(leases) == []
        took.append(round((loop.time() - begun) * 1000))
    # 130 to 360 ms on two busy cores; a tenth of the interval would be harmless
    assert min(took) < 1000, took


async def test_a_heartbeat_tells_each_lost_lease_once(make: Make, pool: Pool) -> None:
    a, lost = make("a"), list[Lease]()
    heartbeat = Heartbeat(a, interval_s=10.0, on_lost=lost.append)
    kept, stolen = await taken(a, uuid4()), await taken(a, uuid4())
    heartbeat.hold(kept)
    heartbeat.hold(stolen)
    await age(pool, LEASE_S + 1, stolen.chat_id)
    await taken(make("b"), stolen.chat_id)
    await heartbeat.beat()
    await heartbeat.beat()
    assert lost == [stolen]


async def test_without_answers_all_leases_are_lost_by_ones_own_clock(
    restartable_server: RestartableServer,
) -> None:
    """And after the outage nothing is taken for one lease time."""
    database = restartable_server.database
    async with await psycopg.AsyncConnection.connect(
        database.dsn, autocommit=True
    ) as connection:
        await connection.execute(
            "CREATE SCHEMA ops; CREATE TABLE ops.leases (chat_id uuid PRIMARY KEY,"
            " worker text, term bigint, heartbeat_at timestamptz DEFAULT now(),"
            " lease_time interval)"
        )
        await connection.execute(
            "CREATE ROLE parley_service; GRANT parley_service TO"
            " current_user; GRANT ALL ON SCHEMA ops TO parley_service;"
            " GRANT ALL ON ops.leases TO parley_service"
        )
    lost, beats = asyncio.Queue[Lease](), asyncio.Queue[int]()
    async with Leases(database, worker="a", lease_s=1.0) as leases:
        heartbeat = Heartbeat(
            leases, interval_s=0.2, on_lost=lost.put_nowait, on_beat=beats.put_nowait
        )
        lease = await taken(leases, uuid4())
        heartbeat.hold(lease)
        task = asyncio.create_task(heartbeat.run())
        async with asyncio.timeout(30):
            assert await beats.get() == 1
            await restartable_server.stop()
            assert await lost.get() is lease
            loop = asyncio.get_running_loop()
            assert 0.9 < loop.time() - lease.renewed_at < 1.5
            assert not heartbeat.may_acquire()
            with pytest.raises(DatabaseAway):
                await leases.acquire(uuid4(), floor=0)
            await restartable_server.start()
            while not beats.empty():
                beats.get_nowait()
            assert await beats.get() == 0
            assert 0.8 < heartbeat.pause_s < 1.2
        task.cancel()
        await asyncio.wait([task])
