"""Titles of the whole service: by itself beside a turn, and on demand."""

from __future__ import annotations

import asyncio

import pytest

from service.client.client import ApiError
from service.providers.choose import KEYS
from tests.e2e.conftest import Serve
from tests.fixtures.openai_server import OpenAIServer

TURN_S = 30.0


async def test_a_vendors_model_names_a_chat_and_is_paid_for_it(
    serve: Serve, on_database: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with OpenAIServer() as server:
        monkeypatch.setenv(KEYS["openai"], server.key)
        settings = on_database | {
            "model": "openai:gpt-5",
            "model_base_url": server.url,
        }
        async with serve(**settings) as served:
            async with asyncio.timeout(TURN_S), served.client() as client:
                chat = await client.create("count 3")
                await client.shows(chat, lambda view: view.title == "A good title")
                await client.turn_finished(chat)
                events = [event async for event in client.events(chat)]
            assert await served.stop() == 0
        assert server.refused == []
        assert len(server.titles) == 1
        assert [asked.text for asked in server.titles] == ["count 3"]
    (taken,) = [event for event in events if event["type"] == "usage_recorded"]
    assert taken["data"]["purpose"] == "title"


async def test_the_scripted_model_names_a_chat_only_on_demand(
    serve: Serve, on_database: dict[str, str]
) -> None:
    async with serve(**on_database) as served:
        async with asyncio.timeout(TURN_S), served.client() as client:
            chat = await client.create("what is a monad?")
            await client.turn_finished(chat)
            assert (await client.get(chat))["title"] == "what is a monad?"
            proposed = await client.propose_title(chat)
            assert (await client.get(chat))["title"] == "what is a monad?"
            named = await client.regenerate_title(chat)
            assert named["title"] == proposed
            assert proposed.startswith("What Is A Monad")
            with pytest.raises(ApiError) as refused:
                await client.propose_title(str(chat["id"])[:-1] + "0")
            assert refused.value.status == 404
        assert await served.stop() == 0
