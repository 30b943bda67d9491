"""Who keeps the queue of notifications from being emptied is told before it is full."""

from __future__ import annotations

import psycopg

from tests.integration.dba.conftest import Site

ASK = "SELECT who, advice FROM es.who_is_behind() WHERE who = 'notifications'"
PAGES = 64
"""The smallest queue that PostgreSQL makes: a page is more than a hundredth of it."""


async def test_a_queue_of_notifications_that_fills_up_is_told(home: Site) -> None:
    await home.rows(f"ALTER SYSTEM SET max_notify_queue_pages = {PAGES}")
    await home.server.stop()
    await home.server.start()
    async with await psycopg.AsyncConnection.connect(
        home.database.dsn, autocommit=True
    ) as listener:
        await listener.execute("LISTEN deaf")
        async with listener.transaction():
            await listener.execute("SELECT 1")
            await home.rows(
                "SELECT pg_notify('deaf', repeat('x', 7000) || n)"
                " FROM generate_series(1, 16) AS n"
            )
            assert await home.rows(ASK) == [
                ("notifications", "a session listens inside an open transaction")
            ]
        await listener.execute("SELECT 1")
    assert await home.rows(ASK) == []
