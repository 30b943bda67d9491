"""The guarded request pool on a real server."""

from __future__ import annotations

import asyncio

import pytest

from service.db.guard import Guard
from service.db.pool import Database, Pool, connect
from service.errors import HeldConnection

USERS = 50


async def test_second_connection_inside_one_raises(pool: Pool) -> None:
    async with pool.connection():
        with pytest.raises(HeldConnection, match="release it first"):
            async with pool.connection():
                pass


async def test_second_connection_inside_a_transaction_raises(pool: Pool) -> None:
    async with pool.transaction():
        with pytest.raises(HeldConnection):
            async with pool.transaction():
                pass


async def test_connection_may_follow_a_connection(pool: Pool) -> None:
    for _ in range(3):
        async with pool.connection() as connection:
            await connection.execute("SELECT 1")


async def test_small_pool_serves_many_users(database: Database, guard: Guard) -> None:
    """More users than connections wait for their turn, and all get it."""

    async def use(number: int) -> int:
        async with pool.transaction() as connection:
            found = await connection.execute("SELECT %s::int", (number,))
            row = await found.fetchone()
        assert row is not None
        return int(row[0])

    async with Pool(database, guard=guard, size=3) as pool:
        async with asyncio.timeout(30):
            answers = await asyncio.gather(*map(use, range(USERS)))
    assert answers == list(range(USERS))
    assert guard.violations == 0


async def test_failed_transaction_leaves_nothing_and_frees_its_connection(
    database: Database, guard: Guard
) -> None:
    async def fail() -> None:
        async with pool.transaction() as connection:
            await connection.execute("INSERT INTO left_over VALUES (1)")
            raise RuntimeError

    async with await connect(database, role=None, name="test") as administrator:
        await administrator.execute("CREATE TABLE left_over (a int)")
        await administrator.execute("GRANT ALL ON left_over TO PUBLIC")
    async with Pool(database, guard=guard, size=1) as pool:
        with pytest.raises(RuntimeError):
            await fail()
        async with pool.connection() as connection:
            found = await connection.execute("SELECT count(*) FROM left_over")
            assert await found.fetchone() == (0,)


async def test_pool_works_in_its_role(pool: Pool, database: Database) -> None:
    async with pool.connection() as connection:
        found = await connection.execute("SELECT current_user")
        assert await found.fetchone() == (database.role("service"),)


async def test_pool_gives_out_live_connections_after_a_cut(
    database: Database, guard: Guard
) -> None:
    """A backend that was terminated is replaced before anybody gets it."""
    async with Pool(database, guard=guard, size=1) as pool:
        async with pool.connection() as connection:
            pid = connection.info.backend_pid
        administrator = await connect(database, role=None, name="test")
        async with administrator:
            await administrator.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        async with pool.connection() as connection:
            assert connection.info.backend_pid != pid
