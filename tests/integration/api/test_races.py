"""Two requests about one chat at once: each sees the other's effect, or none of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx2
import pytest

from tests.fixtures.byhand import ChatByHand
from tests.integration.api.conftest import Api, said
from tests.integration.api.driving import (
    at_rest,
    begun,
    delete,
    patch,
    path,
    queued,
    waiting_for_client,
)

Ask = Callable[[Api, ChatByHand], Awaitable[httpx2.Response]]
RESULTS = {"results": [{"tool_call_id": "c1", "output": 1}]}


async def send(api: Api, chat: ChatByHand) -> httpx2.Response:
    return await api.post(path(chat, "messages"), said("again"))


async def archive(api: Api, chat: ChatByHand) -> httpx2.Response:
    return await patch(api, path(chat), {"archived": True})


async def edit(api: Api, chat: ChatByHand) -> httpx2.Response:
    message = (await chat.state()).messages[0].id
    return await patch(api, path(chat, "messages", message), said("no, this"))


async def interrupt(api: Api, chat: ChatByHand) -> httpx2.Response:
    return await api.http.post(path(chat, "interrupt"))


async def results(api: Api, chat: ChatByHand) -> httpx2.Response:
    return await api.post(path(chat, "tool-results"), RESULTS)


async def drop(api: Api, chat: ChatByHand) -> httpx2.Response:
    return await delete(api, path(chat, "queue", (await chat.state()).queue[0].id))


async def promote(api: Api, chat: ChatByHand) -> httpx2.Response:
    item = (await chat.state()).queue[0].id
    return await api.http.post(path(chat, "queue", item, "promote"))


async def fork(api: Api, chat: ChatByHand) -> httpx2.Response:
    return await api.http.post(path(chat, "fork"))


async def resting(api: Api) -> ChatByHand:
    return await at_rest(api)


async def waiting(api: Api) -> ChatByHand:
    return await waiting_for_client(api, "c1")


async def busy(api: Api) -> ChatByHand:
    chat = await begun(api)
    await queued(api, chat, "one")
    return chat


RACES: list[tuple[Callable[[Api], Awaitable[ChatByHand]], Ask, Ask, set[object]]] = [
    (resting, archive, send, {(204, 400), (409, 200)}),
    (resting, archive, edit, {(204, 400), (409, 200)}),
    (resting, archive, archive, {(204, 400), (400, 204)}),
    (resting, fork, send, {(201, 200)}),
    (resting, edit, send, {(200, 200)}),
    (waiting, results, interrupt, {(204, 200), (409, 200)}),
    (waiting, results, edit, {(204, 200), (409, 200)}),
    (waiting, results, results, {(204, 409), (409, 204)}),
    (waiting, results, send, {(204, 200)}),
    (busy, drop, promote, {(204, 409), (204, 404), (204, 202), (404, 202)}),
    (busy, promote, edit, {(202, 200), (409, 200)}),
    (busy, interrupt, interrupt, {(200, 409), (409, 200)}),
]


@pytest.mark.parametrize(
    ("start", "one", "other", "legal"),
    RACES,
    ids=[f"{one.__name__}-{other.__name__}" for _, one, other, _ in RACES],
)
async def test_a_race(
    api: Api,
    start: Callable[[Api], Awaitable[ChatByHand]],
    one: Ask,
    other: Ask,
    legal: set[object],
) -> None:
    for _ in range(3):
        chat = await start(api)
        answers = await asyncio.gather(one(api, chat), other(api, chat))
        assert tuple(a.status_code for a in answers) in legal
        api.stack.chats.forget_all()
        shown = await api.get(path(chat))
        assert shown.json()["version"] == (await chat.state()).version
