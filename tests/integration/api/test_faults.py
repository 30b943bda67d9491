"""Cut connections, missing read models, a newer release's event: a clear answer."""

from __future__ import annotations

from uuid import UUID

import httpx2
import psycopg
import pytest
from psycopg import sql

from tests.integration.api.conftest import Api, said

CREATE = "/api/v1/chats"


def assert_unavailable(answer: httpx2.Response, slug: str) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["type"] == f"/problems/{slug}"
    assert int(answer.headers["retry-after"]) >= 1


async def test_an_event_of_a_newer_release_makes_that_chat_503_only(api: Api) -> None:
    chat, other = await api.create(), await api.create()
    api.stack.chats.forget_all()
    async with api.stack.pool.connection() as connection:
        await connection.execute("RESET ROLE")
        await connection.execute("ALTER TABLE es.events DISABLE TRIGGER ALL")
        await connection.execute(
            "UPDATE es.events SET schema_version = 99 WHERE stream_id = %s",
            (UUID(chat["id"]),),
        )
    path = f"{CREATE}/{chat['id']}"
    assert_unavailable(await api.get(path), "newer-event")
    assert_unavailable(await api.post(f"{path}/messages", said()), "newer-event")
    assert (await api.get(f"{CREATE}/{other['id']}")).status_code == 200


async def test_read_models_that_are_not_made_yet_are_503(api: Api) -> None:
    chat = await api.create()
    async with api.stack.pool.connection() as connection:
        await connection.execute("RESET ROLE")
        await connection.execute(
            "DROP VIEW read.chats, read.messages, read.queue CASCADE"
        )
    assert_unavailable(await api.get(CREATE), "unavailable")
    answer = await api.get(f"{CREATE}/{chat['id']}/messages")
    assert_unavailable(answer, "unavailable")
    assert (await api.get(f"{CREATE}/{chat['id']}")).status_code == 200


async def test_connections_that_are_cut_do_not_show(api: Api) -> None:
    """The pool looks at a connection before it lends it."""
    chat = await api.create()
    async with await psycopg.AsyncConnection.connect(
        api.stack.database.dsn, autocommit=True
    ) as connection:
        await connection.execute(
            sql.SQL(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    assert (await api.get(f"{CREATE}/{chat['id']}")).status_code == 200
    assert (await api.post(CREATE, said())).status_code == 201


async def test_what_nobody_foresaw_is_500_and_says_nothing(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    chat = await api.create()
    async with api.stack.pool.connection() as connection:
        await connection.execute("RESET ROLE")
        await connection.execute("DROP FUNCTION es.read_stream CASCADE")
    answer = await api.get(f"{CREATE}/{chat['id']}")
    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/internal"
    assert "read_stream" not in answer.text
    assert any(r.message == "request failed" and r.exc_info for r in caplog.records)
