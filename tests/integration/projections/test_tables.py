"""Read models are made when they are missing, by anybody, once, for the right role."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

import sql
from projections.queue import QUEUE
from projections.registry import PROJECTIONS
from projections.tables import make_read_models
from service.db.pool import Database, Pool, connect

CHANGED = Path(sql.__file__).with_name("read") / "queue.sql"

VIEW_COMMENT = "SELECT obj_description('read.queue'::regclass)"

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
            for name in sorted(projection.name for projection in PROJECTIONS)
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


async def told(database: Database) -> str:
    """What psql says of the view read.queue."""
    async with await connect(database, role="service", name="test") as connection:
        ((comment,),) = await (await connection.execute(VIEW_COMMENT)).fetchall()
        return str(comment)


async def test_changed_sql_is_applied_again_at_the_next_start(
    database: Database,
) -> None:
    await make_read_models(database, PROJECTIONS)
    before = await told(database)
    text = CHANGED.read_text().replace(before, "Changed.")
    await make_read_models(database, [replace(QUEUE, sql=text)])
    assert await told(database) == "Changed."
    await make_read_models(database, [QUEUE])
    assert await told(database) == before


async def test_older_release_leaves_newer_sql_alone(database: Database) -> None:
    before = CHANGED.read_text()
    text = before.replace("the version of the read model that is in use", "changed")
    await make_read_models(database, [replace(QUEUE, sql=text)])
    async with await connect(database, role=None, name="test") as connection:
        await connection.execute("UPDATE ops.checkpoints SET release = '99.0.0'")
    await make_read_models(database, [QUEUE])
    assert await told(database) == "Queued messages: changed."


async def test_changed_sql_waits_for_a_reader_and_gets_through(
    database: Database,
) -> None:
    await make_read_models(database, PROJECTIONS)
    text = CHANGED.read_text().replace("that is in use", "that is read")
    async with await connect(database, role="service", name="reader") as reader:
        async with reader.transaction():
            await reader.execute("SELECT FROM read.queue")
            making = asyncio.create_task(
                make_read_models(database, [replace(QUEUE, sql=text)])
            )
            done, _ = await asyncio.wait([making], timeout=1.0)
            assert not done
            # those who come meanwhile are not held up for longer than the attempt
            assert "in use" in await told(database)
        async with asyncio.timeout(30):
            await making
    assert "is read" in await told(database)
