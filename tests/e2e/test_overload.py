"""Appends that cannot be written now: refused, or unknown, and safe to repeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import psycopg

from service import wire
from tests.e2e.conftest import Serve, Served

SAID = wire.dumps({"content": [{"type": "text", "text": "count 1"}]})
PATIENCE_S = 30.0


@asynccontextmanager
async def log_locked(dsn: str) -> AsyncIterator[None]:
    """Hold the lock that every append takes."""
    async with (
        await psycopg.AsyncConnection.connect(dsn) as connection,
        connection.transaction(),
    ):
        await connection.execute("SELECT FROM es.head FOR UPDATE")
        yield


def http_of(served: Served) -> httpx2.AsyncClient:
    headers = {
        "authorization": f"Bearer {served.token}",
        "content-type": "application/json",
    }
    return httpx2.AsyncClient(base_url=served.url, headers=headers, timeout=PATIENCE_S)


async def create(http: httpx2.AsyncClient, key: str) -> httpx2.Response:
    headers = {"idempotency-key": key}
    return await http.post("/api/v1/chats", content=SAID, headers=headers)


async def test_an_unknown_outcome_is_503_and_the_key_settles_it(
    serve: Serve, on_database: dict[str, str]
) -> None:
    settings = on_database | {"append_deadline_s": "0.5"}
    async with serve("--roles", "api", **settings) as served, http_of(served) as http:
        async with log_locked(on_database["database_url"]):
            answer = await create(http, "k")
            assert answer.status_code == 503
            assert answer.json()["type"] == "/problems/outcome-unknown"
            assert answer.headers["retry-after"]
        again = await create(http, "k")
        assert again.status_code == 201
        once_more = await create(http, "k")
        assert once_more.content == again.content
        assert once_more.headers["idempotent-replayed"] == "true"


async def test_what_finds_no_room_is_503_and_was_not_written(
    serve: Serve, on_database: dict[str, str]
) -> None:
    settings = on_database | {"append_queue": "1", "append_deadline_s": "20"}
    async with serve("--roles", "api", **settings) as served, http_of(served) as http:
        async with log_locked(on_database["database_url"]):
            waiting = [asyncio.create_task(create(http, str(n))) for n in range(5)]
            answers = asyncio.as_completed(waiting, timeout=PATIENCE_S)
            for _ in range(4):
                refused = await next(answers)
                assert refused.status_code == 503
                assert refused.json()["type"] == "/problems/overloaded"
            (last,) = (task for task in waiting if not task.done())
        assert (await last).status_code == 201
        # nothing of the four was written: their keys are new
        for key, task in enumerate(waiting):
            if task is not last:
                answer = await create(http, str(key))
                assert answer.status_code == 201
                assert "idempotent-replayed" not in answer.headers
