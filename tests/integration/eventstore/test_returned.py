"""The order that we say objects have in the log is the one that Postgres gives them."""

from __future__ import annotations

import pytest
from psycopg.types.json import Jsonb

from service import wire
from service.db.pool import Pool
from service.eventstore.returned import in_log_order

VALUES = {
    "keys": {"zone": 1, "a": {"zz": 1, "b": [{"yy": 1, "x": 2}]}, "at": 2, "b": 3},
    "bytes": {"ää": 1, "abc": 2, "z": 3, "ä": 4, "": 5, "aB": 6, "ab": 7},
    "numbers": [
        1.0,
        1e16,
        -1e16,
        1e19,
        -1e19,
        1e22,
        -9e18,
        1.5e300,
        1e-7,
        -0.0,
        0.1,
        2**63,
        12.50,
    ],
    "plain": ["text", None, True, False, 0, -5],
}


@pytest.mark.parametrize("name", VALUES)
async def test_it_is_what_comes_back(pool: Pool, name: str) -> None:
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT %s::jsonb", (Jsonb(VALUES[name]),))
        row = await cursor.fetchone()
    assert row is not None
    assert wire.dumps(in_log_order(VALUES[name])) == wire.dumps(row[0])
