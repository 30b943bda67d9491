"""Read models are made when they are missing, by anybody, once, for the right role."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import psycopg
import pytest

from projections.registry import PROJECTIONS
from projections.tables import make_read_models
from service.db.pool import Database, Pool, connect

OWNERS = """
SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class
WHERE relnamespace = 'read'::regnamespace AND relkind IN ('r', 'v')
"""


async def test_processes_that_start_together_make_each_once(database: Database) -> None:
    await asyncio.gather(*[make_read_models(database, PROJECTIONS) for _ in range(4)])
    async with await connect(database, role=None, name="test") as connection:
        found = await connection.execute(
            "SELECT name, active_version, position, state FROM ops.projections"
            " JOIN ops.checkpoints ON projection = name AND version = active_version"
            " ORDER BY name"
        )
        assert await found.fetchall() == [
            (name, 1, 0, "running")
            for name in ("chats", "messages", "queue", "runnable")
        ]


async def test_they_belong_to_the_projector(database: Database) -> None:
    await make_read_models(database, PROJECTIONS)
    async with await connect(database, role=None, name="test") as connection:
        found = await connection.execute(OWNERS)
        assert await found.fetchall() == [(database.role("projector"),)]


async def test_behind_a_pooler_they_belong_to_the_projector_too(
    database: Database,
) -> None:
    pooled = Database(database.dsn, role_prefix=database.role_prefix, pooled=True)
    await make_read_models(pooled, PROJECTIONS)
    async with await connect(database, role=None, name="test") as connection:
        found = await connection.execute(OWNERS)
        assert await found.fetchall() == [(database.role("projector"),)]


async def test_version_beside_the_active_one_leaves_readers_alone(
    database: Database,
) -> None:
    await make_read_models(database, PROJECTIONS)
    await make_read_models(database, [replace(p, version=2) for p in PROJECTIONS])
    async with await connect(database, role=None, name="test") as connection:
        found = await connection.execute(
            "SELECT to_regclass('read.chats__v2') IS NOT NULL,"
            " pg_get_viewdef('read.chats') LIKE '%chats__v1%',"
            " (SELECT active_version FROM ops.projections WHERE name = 'chats')"
        )
        assert await found.fetchone() == (True, True, 1)


@pytest.mark.parametrize("name", [p.name for p in PROJECTIONS])
async def test_service_reads_and_never_writes(
    database: Database, pool: Pool, name: str
) -> None:
    await make_read_models(database, PROJECTIONS)
    async with pool.connection() as connection:
        await connection.execute(f"SELECT * FROM read.{name}")  # noqa: S608
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(f"TRUNCATE read.{name}__v1")
