"""The model config of a chat: chosen with a message or alone, if it can be asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx2
import pytest

from tests.fixtures.byhand import ChatByHand
from tests.integration.api.conftest import Api, said
from tests.integration.api.driving import at_rest, fields, patch, path

FAST, SLOW = UUID(int=0xFA57), UUID(int=0x5106)

Ask = Callable[[Api, ChatByHand, Any], Awaitable[httpx2.Response]]


async def send(api: Api, chat: ChatByHand, config: Any) -> httpx2.Response:
    body = said("more") | {"model_config_id": config}
    return await api.post(path(chat, "messages"), body)


async def edit(api: Api, chat: ChatByHand, config: Any) -> httpx2.Response:
    message = next(m.id for m in (await chat.state()).messages if m.role == "user")
    body = said("rather") | {"model_config_id": config}
    return await patch(api, path(chat, "messages", message), body)


async def change(api: Api, chat: ChatByHand, config: Any) -> httpx2.Response:
    return await patch(api, path(chat), {"model_config_id": config})


async def create(api: Api, _chat: ChatByHand, config: Any) -> httpx2.Response:
    return await api.post("/api/v1/chats", said() | {"model_config_id": config})


WAYS: dict[str, Ask] = {"send": send, "edit": edit, "change": change, "create": create}


async def shown(api: Api, chat_id: object) -> dict[str, Any]:
    chat: dict[str, Any] = (await api.get(f"/api/v1/chats/{chat_id}")).json()
    return chat


@pytest.mark.parametrize("way", WAYS)
async def test_the_chosen_config_is_the_chats_from_here_on(api: Api, way: str) -> None:
    api.configs.usable = {FAST, SLOW}
    chat = await at_rest(api, model_config_id=str(SLOW))
    assert (await shown(api, chat.id))["model_config_id"] == str(SLOW)
    answer = await WAYS[way](api, chat, str(FAST))
    assert answer.status_code in (200, 201, 204), answer.text
    chat_id = answer.json()["id"] if way == "create" else chat.id
    assert (await shown(api, chat_id))["model_config_id"] == str(FAST)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("config", [str(FAST), str(UUID(int=0)), "x", 1])
async def test_what_no_turn_could_use_is_refused(
    api: Api, way: str, config: Any
) -> None:
    chat = await at_rest(api)
    before = await api.positions()
    answer = await WAYS[way](api, chat, config)
    assert answer.status_code == 400
    assert fields(answer) == ["model_config_id"]
    assert await api.positions() == before


async def test_a_message_that_says_nothing_keeps_the_chats_config(api: Api) -> None:
    api.configs.usable = {SLOW}
    chat = await at_rest(api, model_config_id=str(SLOW))
    assert (await api.post(path(chat, "messages"), said())).status_code == 200
    assert (await shown(api, chat.id))["model_config_id"] == str(SLOW)


async def test_null_brings_the_default_back(api: Api) -> None:
    api.configs.usable = {SLOW}
    chat = await at_rest(api, model_config_id=str(SLOW))
    assert (await change(api, chat, None)).status_code == 204
    assert "model_config_id" not in await shown(api, chat.id)


async def test_a_retry_is_answered_alike_after_the_config_is_gone(api: Api) -> None:
    api.configs.usable = {FAST}
    body = said() | {"model_config_id": str(FAST)}
    first = await api.post("/api/v1/chats", body, key="k")
    api.configs.usable = set()
    again = await api.post("/api/v1/chats", body, key="k")
    assert (again.status_code, again.json()) == (201, first.json())
    assert (await api.post("/api/v1/chats", body, key="other")).status_code == 400
