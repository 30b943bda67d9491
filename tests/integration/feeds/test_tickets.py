"""A ticket opens one stream, once, soon; nothing else in a URL opens anything."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.auth.bearer import Bearer
from service.auth.policy import Subject
from service.auth.tickets import Tickets
from service.platform.tickets import sweep_tickets
from service.platform.tokens import revoke_token
from tests.integration.api.conftest import Api, bearer
from tests.integration.feeds.conftest import following, seen

TICKETS = "/api/v1/stream-tickets"
COUNT = """
SELECT count(*), bool_and(octet_length(ticket_hash) = 32) FROM ops.stream_tickets
"""


async def take(api: Api, chat_id: str | None, **options: Any) -> str:
    answer = await api.post(TICKETS, {"chat_id": chat_id}, **options)
    assert answer.status_code == 201, answer.text
    ticket: str = answer.json()["ticket"]
    return ticket


async def refused(api: Api, path: str) -> None:
    """Not even its owner's token in the header helps a ticket."""
    async with api.http.stream("GET", path) as answer:
        assert answer.status_code == 401
        problem = await answer.aread()
        assert b"ticket_" not in problem


async def test_a_ticket_opens_its_chat_without_a_header(api: Api) -> None:
    chat = await api.create()
    path = f"/api/v1/chats/{chat['id']}/stream"
    ticket = await take(api, chat["id"])
    del api.http.headers["authorization"]
    async with following(api, f"{path}?ticket={ticket}") as client:
        await client.until(seen("caught_up"))
        assert client.frames[0].event == "snapshot"


async def test_after_a_drop_a_new_ticket_goes_on_at_the_last_id(api: Api) -> None:
    chat = await api.create()
    path = f"/api/v1/chats/{chat['id']}/stream"
    async with following(api, f"{path}?ticket={await take(api, chat['id'])}") as first:
        await first.until(seen("caught_up"))
    await api.post(f"/api/v1/chats/{chat['id']}/messages", {
        "content": [{"type": "text", "text": "meanwhile"}]
    })  # fmt: skip
    again = f"{path}?ticket={await take(api, chat['id'])}&after={first.last_id}"
    async with following(api, again) as second:
        await second.until(seen("caught_up"))
    assert [f.event for f in second.frames] == ["queue_update", "caught_up"]


async def test_a_used_ticket_is_refused(api: Api) -> None:
    chat = await api.create()
    path = f"/api/v1/chats/{chat['id']}/stream?ticket={await take(api, chat['id'])}"
    async with following(api, path) as client:
        await client.until(seen("caught_up"))
    await refused(api, path)


async def test_of_many_who_race_for_a_ticket_one_gets_in(api: Api) -> None:
    """On several replicas: each `Tickets` here knows only the database."""
    chat = await api.create()
    ticket = await take(api, chat["id"])
    replicas = [Tickets(api.stack.pool, now=api.stack.now) for _ in range(8)]
    attempts = [replica.subject(ticket, UUID(chat["id"])) for replica in replicas]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert len([o for o in outcomes if not isinstance(o, BaseException)]) == 1


async def test_an_expired_ticket_is_refused_and_swept(api: Api) -> None:
    chat = await api.create()
    subject = await _subject(api)
    brief = Tickets(api.stack.pool, now=api.stack.now, life=timedelta(0))
    tickets = [(await brief.issue(subject, UUID(chat["id"])))[0] for _ in range(2)]
    await refused(api, f"/api/v1/chats/{chat['id']}/stream?ticket={tickets[0]}")
    await take(api, chat["id"])
    async with api.stack.pool.connection() as connection:
        assert await sweep_tickets(connection) == 1
        found = await connection.execute(COUNT)
        assert await found.fetchone() == (1, True)


async def test_a_ticket_opens_nothing_but_what_it_was_taken_for(api: Api) -> None:
    chat, other = await api.create("a"), await api.create("b")
    ticket = await take(api, chat["id"])
    await refused(api, f"/api/v1/chats/{other['id']}/stream?ticket={ticket}")
    # and it is used up by the attempt
    await refused(api, f"/api/v1/chats/{chat['id']}/stream?ticket={ticket}")


async def test_a_ticket_ends_with_its_token(api: Api) -> None:
    chat = await api.create()
    ticket = await take(api, chat["id"])
    subject = await _subject(api)
    async with api.stack.pool.connection() as connection:
        await revoke_token(connection, subject.token_id, at=api.stack.now())
    await refused(api, f"/api/v1/chats/{chat['id']}/stream?ticket={ticket}")


async def test_a_ticket_for_a_chat_of_somebody_else_is_not_found(api: Api) -> None:
    chat = await api.create()
    for chat_id, token in ((chat["id"], api.other_token), (str(uuid4()), api.token)):
        answer = await api.post(TICKETS, {"chat_id": chat_id}, headers=bearer(token))
        assert answer.status_code == 404
        assert answer.json()["type"] == "/problems/chat-not-found"


@pytest.mark.parametrize("name", ["ticket", "token", "access_token", "authorization"])
async def test_a_bearer_token_in_a_query_string_opens_nothing(
    api: Api, name: str
) -> None:
    chat = await api.create()
    del api.http.headers["authorization"]
    for path in (f"/api/v1/chats/{chat['id']}/stream", f"/api/v1/chats/{chat['id']}"):
        async with api.http.stream("GET", f"{path}?{name}={api.token}") as answer:
            assert answer.status_code in (400, 401)


async def test_a_ticket_lasts_a_minute_at_most(api: Api) -> None:
    answer = await api.post(TICKETS, {})
    async with api.stack.pool.connection() as connection:
        found = await connection.execute(
            "SELECT %s::timestamptz - clock_timestamp()", (answer.json()["expires_at"],)
        )
        row = await found.fetchone()
    assert row is not None
    assert timedelta(0) < row[0] <= timedelta(seconds=60)


async def _subject(api: Api) -> Subject:
    door = Bearer(api.stack.pool, now=api.stack.now)
    return await door.subject(f"Bearer {api.token}")
