"""The same key twice: one effect, one answer."""

from __future__ import annotations

import asyncio
from uuid import UUID

import httpx2

from tests.fixtures.byhand import ChatByHand
from tests.integration.api.conftest import Api, bearer, said

CREATE = "/api/v1/chats"
REPLAYED = "idempotent-replayed"


def assert_replay(first: httpx2.Response, second: httpx2.Response) -> None:
    assert REPLAYED not in first.headers
    assert second.headers[REPLAYED] == "true"
    assert second.status_code == first.status_code
    assert second.content == first.content


async def test_create_send_and_interrupt_replay_their_first_answers(api: Api) -> None:
    created = await api.post(CREATE, said(), key="k")
    chat = ChatByHand(api.stack, UUID(created.json()["id"]))
    messages, interrupt = (f"{CREATE}/{chat.id}/{p}" for p in ("messages", "interrupt"))
    sent = await api.post(messages, said("next"), key="s")
    stopped = await api.post(interrupt, {}, key="i")
    before = await api.positions()
    # the chat moves on: a replay still tells what was
    await chat.acquire()
    await chat.finish_interruption()
    assert_replay(created, await api.post(CREATE, said(), key="k"))
    assert_replay(sent, await api.post(messages, said("next"), key="s"))
    assert_replay(stopped, await api.http.post(interrupt, headers=_key("i")))
    assert stopped.json()["status"] == "interrupting"
    events = (await chat.state()).version
    assert await api.positions() == events
    assert before < events


async def test_another_body_with_the_same_key_is_422(api: Api) -> None:
    created = await api.post(CREATE, said(), key="k")
    chat_id = created.json()["id"]
    before = await api.positions()
    for path, body in (
        (CREATE, said("other")),
        (CREATE, said() | {"labels": {"a": "b"}}),
        (f"{CREATE}/{chat_id}/messages", said()),
        (f"{CREATE}/{chat_id}/interrupt", {}),
    ):
        answer = await api.post(path, body, key="k")
        assert answer.status_code == 422, (path, answer.text)
        assert answer.json()["type"] == "/problems/idempotency-key-reused"
    assert await api.positions() == before


async def test_bodies_that_mean_the_same_are_the_same(api: Api) -> None:
    labels = {"a": "1", "b": "2"}
    first = await api.post(CREATE, said(" hello") | {"labels": labels}, key="k")
    second = await api.post(
        CREATE,
        {
            "client_type": "api",
            "labels": dict(reversed(labels.items())),
            "mcp_server_ids": None,
            **said("hello "),
        },
        key="k",
    )
    assert_replay(first, second)


async def test_keys_of_two_users_do_not_meet(api: Api) -> None:
    mine = await api.post(CREATE, said(), key="k")
    theirs = await api.post(CREATE, said(), key="k", headers=bearer(api.other_token))
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["id"] != theirs.json()["id"]
    assert REPLAYED not in theirs.headers


async def test_many_at_once_with_one_key_have_one_effect(api: Api) -> None:
    answers = await asyncio.gather(
        *(api.post(CREATE, said(), key="k") for _ in range(10))
    )
    assert {a.status_code for a in answers} == {201}
    assert len({a.content for a in answers}) == 1
    assert sum(REPLAYED in a.headers for a in answers) == 9
    assert await api.positions() == 2


async def test_a_refused_request_is_not_remembered(api: Api) -> None:
    chat = ChatByHand(api.stack, UUID((await api.create())["id"]))
    path = f"{CREATE}/{chat.id}/interrupt"
    await chat.acquire()
    await chat.attempt()
    await chat.commit("hi")
    await chat.finish()
    assert (await api.post(path, {}, key="i")).status_code == 409
    await chat.send("again")
    assert (await api.post(path, {}, key="i")).status_code == 200


def _key(key: str) -> dict[str, str]:
    return {"idempotency-key": key}
