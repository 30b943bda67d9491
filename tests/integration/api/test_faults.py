"""The database away, the appender full, a newer release's event: 503, and no lie."""

from __future__ import annotations

from uuid import UUID

import httpx2
import psycopg
import pytest
from psycopg import sql

from service.errors import AppenderFull, AppendUnknown, DatabaseAway
from service.eventstore.appender import Appender
from tests.integration.api.conftest import Api, said

CREATE = "/api/v1/chats"


def assert_unavailable(answer: httpx2.Response, slug: str) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["type"] == f"/problems/{slug}"
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("error", "slug"),
    [
        (AppenderFull("full"), "overloaded"),
        (AppendUnknown("unknown"), "outcome-unknown"),
        (DatabaseAway("away"), "unavailable"),
    ],
)
async def test_faults_of_the_appender_are_503(
    api: Api, monkeypatch: pytest.MonkeyPatch, error: Exception, slug: str
) -> None:
    async def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(Appender, "append", refuse)
    assert_unavailable(await api.post(CREATE, said()), slug)


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
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(api.stack.chats), "load", fail)
    answer = await api.get(f"{CREATE}/{UUID(int=1)}")
    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/internal"
    assert "secret" not in answer.text
    assert any(r.message == "request failed" and r.exc_info for r in caplog.records)
