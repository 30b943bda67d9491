"""A chat as it was, and copies of it."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from service.api.shapes import ChatShape, MessagePage
from service.domain.commands.chat import CreateChat
from service.domain.ids import UserId, derive_chat_id
from service.domain.parts import TextPart
from tests.fixtures.byhand import ChatByHand
from tests.integration.api.conftest import Api, said
from tests.integration.api.driving import (
    CREATE,
    answer,
    at_rest,
    begun,
    fields,
    patch,
    path,
    queued,
    slug,
)


async def test_a_chat_is_shown_as_it_was(api: Api) -> None:
    chat = await at_rest(api, "hello")
    then = (await chat.state()).version
    await patch(api, path(chat), {"title": "another"})
    answered = await api.get(path(chat), params={"at_version": str(then)})
    shown = ChatShape.model_validate(answered.json())
    assert (shown.title, shown.status, shown.version) == ("hello", "waiting", then)
    assert shown.at_version == then
    assert answered.headers["parley-version"] == f"{chat.id}:{then}"
    assert {"has_unread", "pin_order", "children"}.isdisjoint(answered.json())
    assert (await api.get(path(chat))).json()["title"] == "another"


async def test_a_version_inside_an_append_is_its_end(api: Api) -> None:
    chat = await begun(api, "hello", system_prompt="be kind")
    answered = await api.get(path(chat), params={"at_version": "1"})
    assert answered.json()["at_version"] == 1
    assert answered.json()["version"] == 3


async def test_messages_as_they_were_page_like_those_of_now(api: Api) -> None:
    chat = await at_rest(api, "one", system_prompt="be kind")
    await api.post(path(chat, "messages"), said("two"))
    await queued(api, chat, "waits")
    await api.project()
    then = (await chat.state()).version
    messages = path(chat, "messages")
    ids = [m["id"] for m in (await api.get(messages)).json()["messages"]]
    queries: tuple[dict[str, Any], ...] = (
        {}, {"limit": 2}, {"before_id": ids[0]}, {"after_id": ids[-1]},
        {"after_id": ids[-1], "limit": 1}, {"after_id": ids[-1], "before_id": ids[0]},
        {"before_id": ids[-1]}, {"before_id": 2**40},
    )  # fmt: skip
    now = [(await api.get(messages, params=query)).json() for query in queries]
    first = (await chat.state()).messages[1].id
    await patch(api, path(chat, "messages", first), said("never mind"))
    for query, expected in zip(queries, now, strict=True):
        asked = query | {"at_version": then}
        answered = await api.get(messages, params=asked)
        assert answered.json() == expected | {"at_version": then}, query
        MessagePage.model_validate(answered.json())
    assert now[0]["queued_messages"]


@pytest.mark.parametrize("what", ["", "/messages"], ids=["chat", "messages"])
@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("0", "invalid-request"), ("-1", "invalid-request"), ("x", "invalid-request"),
        ("1.0", "invalid-request"), ("", "invalid-request"),
        ("9" * 30, "invalid-request"), (str(2**31), "invalid-request"),
        ("9999", "unknown-version"),
    ],
)  # fmt: skip
async def test_versions_that_there_are_not(
    api: Api, what: str, version: str, why: str
) -> None:
    chat = await at_rest(api)
    answered = await api.get(path(chat) + what, params={"at_version": version})
    assert (answered.status_code, slug(answered)) == (400, why)
    if why == "invalid-request":
        assert fields(answered) == ["at_version"]


# forks


async def fork(
    api: Api, chat: ChatByHand, body: Any = None, *, key: str | None = None
) -> httpx2.Response:
    return await api.post(path(chat, "fork"), body or {}, key=key)


async def test_a_fork_is_a_chat_of_its_own(api: Api) -> None:
    chat = await at_rest(api, "one")
    then = (await chat.state()).version
    await api.post(path(chat, "messages"), said("two"))
    answered = await fork(api, chat, {"version": then})
    assert answered.status_code == 201
    made = ChatShape.model_validate(answered.json())
    assert made.forked_from is not None
    assert (made.forked_from.chat_id, made.forked_from.version) == (chat.id, then)
    assert (made.status, made.version) == ("waiting", then + 1)
    assert answered.headers["parley-version"] == f"{made.id}:{made.version}"
    copy = ChatByHand(api.stack, made.id)
    texts = [m.parts for m in (await copy.state()).messages]
    assert texts == [m.parts for m in (await chat.state()).messages][:2]
    sent = await api.post(path(copy, "messages"), said("elsewhere"))
    assert (sent.status_code, sent.json()["queued"]) == (200, False)


async def test_without_a_version_everything_is_copied(api: Api) -> None:
    chat = await begun(api)
    await queued(api, chat, "waits")
    version = (await chat.state()).version
    answered = await api.http.post(path(chat, "fork"))
    assert answered.status_code == 201
    assert answered.json()["forked_from"]["version"] == version
    assert answered.json()["status"] == "waiting"


async def test_a_fork_is_replayed(api: Api) -> None:
    chat = await at_rest(api)
    first = await fork(api, chat, key="f")
    assert first.json()["id"] == str(derive_chat_id(UserId(api.user_id), "f"))
    await chat.send("more")
    await answer(chat)
    again = await fork(api, chat, key="f")
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    refused = [
        await fork(api, chat, {"version": 2}, key="f"),
        await api.post(CREATE, said(), key="f"),
        await fork(api, await at_rest(api), key="f"),
    ]
    for answered in refused:
        assert (answered.status_code, slug(answered)) == (422, "idempotency-key-reused")


async def test_forks_at_once_with_one_key_are_one(api: Api) -> None:
    chat = await at_rest(api)
    answers = await asyncio.gather(*(fork(api, chat, key="f") for _ in range(5)))
    assert {a.status_code for a in answers} == {201}
    assert len({a.content for a in answers}) == 1


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"version": 0}, "invalid-request"), ({"version": -1}, "invalid-request"),
        ({"version": "1"}, "invalid-request"), ({"version": 1.5}, "invalid-request"),
        ({"version": 2**31}, "invalid-request"), ({"title": "x"}, "invalid-request"),
        ({"version": 9999}, "unknown-version"),
    ],
    ids=["zero", "negative", "text", "float", "giant", "field", "beyond"],
)  # fmt: skip
async def test_forks_that_cannot_be(api: Api, body: Any, why: str) -> None:
    chat = await at_rest(api)
    before = await api.positions()
    answered = await fork(api, chat, body)
    assert (answered.status_code, slug(answered)) == (400, why)
    assert await api.positions() == before


async def test_who_left_the_organization_makes_no_copies_in_it(api: Api) -> None:
    chat = ChatByHand(api.stack, uuid4())
    await chat.execute(
        CreateChat(
            now=api.stack.now(),
            organization_id=uuid4(),
            owner_id=api.user_id,
            title="of then",
            parts=(TextPart(text="hello"),),
        )
    )
    assert (await api.get(path(chat))).status_code == 200
    answered = await fork(api, chat)
    assert (answered.status_code, slug(answered)) == (403, "forbidden")
