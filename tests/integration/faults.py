"""Things that go wrong on purpose."""

from __future__ import annotations

import psycopg

from service.db.pool import Database

CUT = """
SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
WHERE application_name = %s AND datname = current_database()
"""


async def cut(database: Database, name: str) -> int:
    """End the connections `parley/<name>` from the server's side; gives how many."""
    async with await psycopg.AsyncConnection.connect(
        database.dsn, autocommit=True
    ) as connection:
        cursor = await connection.execute(CUT, (f"parley/{name}",))
        row = await cursor.fetchone()
        assert row is not None
        count: int = row[0]
        return count
