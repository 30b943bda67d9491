"""Chats that were purged: gone from every cache, and nothing comes in their place."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from service.db.pool import Database
from service.domain.chat.state import ChatState
from service.errors import Rejection, StreamPurged
from service.eventstore import executor
from service.eventstore.appender import Appender
from service.eventstore.handle import Chats
from service.eventstore.records import NewEvent, StreamName
from tests.builders import NOW, OWNER, create, send
from tests.fixtures.purging import purge
from tests.integration.eventstore.appends import PATIENCE_S, request
from tests.integration.eventstore.replicas import running


async def test_a_purged_chat_is_gone_also_from_the_cache(
    appender: Appender, chats: Chats, chat_id: UUID
) -> None:
    await chats.execute(chat_id, create(), actor="a")
    purged = NewEvent("stream_purged", 1, {"actor": "a", "reason": "asked"})
    await appender.append(request(StreamName("chat", chat_id), purged))
    with pytest.raises(Rejection) as rejected:
        await chats.execute(chat_id, send(), actor="a")
    assert rejected.value.code == "chat-not-found"
    loaded = await chats.load(chat_id)
    assert (loaded.version, loaded.state.exists) == (3, False)
    assert loaded.state.messages == ChatState().messages


async def test_nothing_is_created_where_a_chat_was_purged(
    database: Database, chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even tried again."""
    chat_id, root_id, source_id = [await running(chats) for _ in range(3)]
    await purge(database, chat_id)
    monkeypatch.setattr(executor, "BACK_OFF_S", 1e9)
    fork = chats.fork(
        source_id, chat_id, version=None, owner_id=OWNER, now=NOW, actor="a"
    )
    for creating in (
        chats.execute(chat_id, create(), actor="a"),
        chats.spawn(root_id, chat_id, create(), actor="a"),
        fork,
    ):
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(StreamPurged):
                await creating
    assert (await chats.load(root_id)).state.children == ()
