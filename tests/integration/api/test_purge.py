"""A purged chat is as if it had never been there."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from tests.fixtures.purging import purge
from tests.integration.api.conftest import Api, said

KNOWN = "purged-chat"


@pytest_asyncio.fixture
async def gone(api: Api) -> str:
    """A chat that this process has cached, purged behind its back."""
    chat = await api.post("/api/v1/chats", said("secret"), key=KNOWN)
    chat_id: str = chat.json()["id"]
    await api.project()
    await purge(api.stack.database, UUID(chat_id))
    return chat_id


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", "/messages", None),
        ("GET", "/events", None),
        ("POST", "/messages", said("more")),
        ("POST", "/interrupt", {}),
    ],
)
async def test_every_door_answers_404(
    api: Api, gone: str, method: str, path: str, body: Any
) -> None:
    url = f"/api/v1/chats/{gone}{path}"
    answer = await (api.get(url) if method == "GET" else api.post(url, body))
    assert answer.status_code == 404
    assert "chat-not-found" in answer.json()["type"]
    never = await api.get(f"/api/v1/chats/{UUID(int=7)}")
    assert answer.json()["title"] == never.json()["title"]


async def test_its_stream_tells_nothing(api: Api, gone: str) -> None:
    """A process that has not heard of the purge yet lets a follower in, to say so."""
    answer = await api.get(f"/api/v1/chats/{gone}/stream")
    assert "secret" not in answer.text
    assert answer.status_code == 404 or "purged" in answer.text
    assert (await api.get(f"/api/v1/chats/{gone}")).status_code == 404


async def test_creating_it_again_with_its_key_brings_nothing_back(
    api: Api, gone: str
) -> None:
    answer = await api.post("/api/v1/chats", said("secret"), key=KNOWN)
    assert answer.status_code == 404
    assert "secret" not in answer.text


async def test_the_list_loses_it(api: Api, gone: str) -> None:
    await api.project()
    assert (await api.get("/api/v1/chats")).json()["chats"] == []
