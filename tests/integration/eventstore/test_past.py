"""State at a version: rounded up to an append border, from the log or the cache."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from service.db.guard import Guard
from service.db.pool import Connection, Database
from service.domain.chat.evolve import fold
from service.domain.chat.state import ChatState
from service.errors import DatabaseAway, Rejection
from service.eventstore import past, store
from service.eventstore.handle import Chats
from service.eventstore.records import RecordedEvent, StreamName
from tests.builders import commit_step, create, draft, send
from tests.fixtures.purging import purge
from tests.integration.eventstore.replicas import (
    another_process,
    events_in_log,
    idle,
    recorded,
    running,
    told,
)


async def a_chat_of_many_borders(chats: Chats) -> UUID:
    """12 events in 7 appends, of 1 to 4 events."""
    chat_id = await running(chats)
    await told(chats, chat_id, commit_step(2, draft("a"), draft("b"), draft("c")))
    await told(chats, chat_id, *(send(str(n)) for n in range(4)))
    return chat_id


@pytest.mark.parametrize("page", [1, 3, 200])
@pytest.mark.parametrize("cached", [True, False], ids=["cached", "cold"])
async def test_every_version_gives_the_fold_at_its_border(
    database: Database,
    guard: Guard,
    chats: Chats,
    page: int,
    cached: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(past, "LOAD_PAGE", page)
    chat_id = await a_chat_of_many_borders(chats)
    events = await recorded(database, chat_id)
    decoded = await events_in_log(database, chat_id)
    assert len({e.append_last for e in events}) == 8
    async with another_process(database, guard) as others:
        process = chats if cached else others
        for event in events:
            loaded = await process.load_at(chat_id, event.version)
            border = event.append_last
            assert loaded.version == loaded.state.version == border
            assert loaded.digest == events[border - 1].digest
            assert loaded.state == fold(ChatState(), decoded[:border])


@pytest.mark.parametrize("version", [-1, 0, 8, 2**31 - 1, 2**63])
async def test_a_version_that_the_chat_never_had_is_refused(
    chats: Chats, version: int
) -> None:
    chat_id = await idle(chats)
    with pytest.raises(Rejection) as rejected:
        await chats.load_at(chat_id, version)
    assert rejected.value.code == "unknown-version"
    assert "1 to 7" in rejected.value.detail


async def test_versions_of_another_process_are_known_at_once(
    database: Database, guard: Guard, chats: Chats
) -> None:
    chat_id = await idle(chats)
    async with another_process(database, guard) as others:
        await told(others, chat_id, send("more"))
    assert (await chats.load_at(chat_id, 8)).version == 8


async def test_a_chat_that_is_not_there_has_no_past(
    database: Database, chats: Chats
) -> None:
    erased = await idle(chats)
    await purge(database, erased)
    for chat_id in (uuid4(), erased):
        for version in (1, 7, 8):
            with pytest.raises(Rejection) as rejected:
                await chats.load_at(chat_id, version)
            assert rejected.value.code == "chat-not-found"


async def test_the_past_is_not_what_the_cache_keeps(chats: Chats) -> None:
    chat_id = await idle(chats)
    newest = chats.peek(chat_id)
    await chats.load_at(chat_id, 2)
    assert chats.peek(chat_id) == newest
    handled = await told(chats, chat_id, send("next"))
    assert handled.events[0][0] == 8
    assert (await chats.load_at(chat_id, 7)).state == newest.state if newest else None


async def test_a_chat_is_read_again_after_a_create(chats: Chats) -> None:
    chat_id = uuid4()
    await told(chats, chat_id, create("hi", system_prompt="be brief"))
    assert (await chats.load_at(chat_id, 1)).version == 3


async def test_pages_of_another_history_are_not_folded_together(
    database: Database, chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restored server took over between two pages."""
    monkeypatch.setattr(past, "LOAD_PAGE", 2)
    chat_id, other_id = await idle(chats), await idle(chats)
    other = await recorded(database, other_id)
    read = store.read_stream

    async def restored(
        connection: Connection, stream: StreamName, after_version: int, limit: int
    ) -> list[RecordedEvent]:
        page = await read(connection, stream, after_version, limit)
        return [other[e.version - 1] for e in page] if after_version == 3 else page

    assert (await chats.load_at(chat_id, 6)).version == 6
    monkeypatch.setattr(store, "read_stream", restored)
    with pytest.raises(DatabaseAway):
        await chats.load_at(chat_id, 6)
