"""Forks: a chat that begins as a copy, and goes its own way."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from service.db.guard import Guard
from service.db.pool import Database, connect
from service.domain.chat.state import Status
from service.domain.events.chat import ChatCreated, ChatForked, Origin
from service.errors import KeyReused, Rejection
from service.eventstore import forks
from service.eventstore.appender import Appender
from service.eventstore.handle import Chats, Handled
from service.eventstore.records import NewEvent, StreamName
from tests.builders import (
    NOW,
    ORGANIZATION,
    acquire,
    commit_step,
    draft,
    edit,
    send,
    update,
)
from tests.fixtures.purging import purge
from tests.integration.eventstore.appends import assert_intact, request
from tests.integration.eventstore.replicas import (
    another_process,
    family,
    idle,
    queueing,
    recorded,
    running,
    state_in_log,
    told,
    types_in_log,
)

HASH = b"hash of the request"
OTHER = b"hash of another one"
FORKER = UUID(int=0xF0)

KEYED: dict[str, Any] = {"key": "f:k", "request_hash": HASH}


async def fork(
    chats: Chats,
    source_id: UUID,
    new_id: UUID,
    version: int | None = None,
    **fields: Any,
) -> Handled:
    return await chats.fork(
        source_id,
        new_id,
        version=version,
        owner_id=FORKER,
        now=NOW,
        actor="f",
        **fields,
    )


async def test_a_fork_is_a_copy_and_one_event_more(
    database: Database, chats: Chats
) -> None:
    source_id, new_id = await idle(chats), uuid4()
    handled = await fork(chats, source_id, new_id, correlation_id="r9")
    source, copy = [await recorded(database, c) for c in (source_id, new_id)]
    assert [(e.version, e.type, e.schema_version, e.data) for e in copy[:-1]] == [
        (e.version, e.type, e.schema_version, e.data) for e in source
    ]
    assert {e.append_last for e in copy} == {8}
    assert handled.events[-1] == (
        8,
        ChatForked(
            at=NOW,
            origin=Origin(chat_id=source_id, version=7),
            owner_id=FORKER,
            organization_id=ORGANIZATION,
            actor="f",
        ),
    )
    assert [version for version, _ in handled.events] == list(range(1, 9))
    assert handled.loaded == await chats.load(new_id)
    state = handled.loaded.state
    assert state == await state_in_log(database, new_id)
    assert state.messages == (await chats.load(source_id)).state.messages
    assert (state.owner_id, state.status) == (FORKER, Status.WAITING)
    await assert_intact(database)


async def test_copies_say_who_acted_then_and_what_they_are_copies_of(
    database: Database, chats: Chats
) -> None:
    source_id, new_id = await idle(chats), uuid4()
    await fork(chats, source_id, new_id, correlation_id="r9", causation_id="c9")
    source, copy = [await recorded(database, c) for c in (source_id, new_id)]
    metadata = [e.metadata or {} for e in copy]
    ids = {UUID(m.pop("id")) for m in metadata}
    assert len(ids) == len(copy)
    assert ids.isdisjoint(UUID((e.metadata or {})["id"]) for e in source)
    assert {e.digest for e in source}.isdisjoint(e.digest for e in copy)
    assert metadata[:-1] == [
        {
            "actor": (e.metadata or {})["actor"],
            "correlation_id": "r9",
            "causation_id": f"{source_id}:{e.version}",
        }
        for e in source
    ]
    assert metadata[-1] == {
        "actor": "f",
        "correlation_id": "r9",
        "causation_id": "c9",
    }


async def test_a_version_is_rounded_up_to_its_border(
    database: Database, chats: Chats
) -> None:
    source_id = await running(chats)
    await told(chats, source_id, commit_step(2, draft("a"), draft("b")), send("later"))
    source = await recorded(database, source_id)
    for event in source:
        new_id = uuid4()
        handled = await fork(chats, source_id, new_id, event.version)
        copied = event.append_last
        assert handled.loaded.version == copied + 1
        assert handled.loaded.state.origin == Origin(chat_id=source_id, version=copied)
        assert handled.loaded.state == await state_in_log(database, new_id)
        types = [*(e.type for e in source[:copied]), "chat_forked"]
        assert await types_in_log(database, new_id) == types


@pytest.mark.parametrize("version", [-1, 0, 8, 2**63])
async def test_a_version_that_the_source_never_had_is_refused(
    database: Database, chats: Chats, version: int
) -> None:
    source_id, new_id = await idle(chats), uuid4()
    with pytest.raises(Rejection) as rejected:
        await fork(chats, source_id, new_id, version)
    assert rejected.value.code == "unknown-version"
    assert await types_in_log(database, new_id) == []


async def test_a_source_that_is_too_long_is_refused_before_it_is_copied(
    database: Database, chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    source_id = await idle(chats)
    monkeypatch.setattr(forks, "MOST_BYTES", 5_000)
    with pytest.raises(Rejection) as rejected:
        await fork(chats, source_id, uuid4())
    assert rejected.value.code == "chat-too-long"
    assert (await fork(chats, source_id, uuid4(), 3)).outcome == "appended"


async def test_a_source_that_is_not_there_cannot_be_forked(
    database: Database, chats: Chats
) -> None:
    erased = await idle(chats)
    await purge(database, erased)
    for source_id in (uuid4(), erased):
        for version in (None, 1, 7):
            with pytest.raises(Rejection) as rejected:
                await fork(chats, source_id, uuid4(), version)
            assert rejected.value.code == "chat-not-found"


async def test_a_fork_of_a_busy_chat_waits_and_the_source_goes_on(
    database: Database, chats: Chats
) -> None:
    source_id, new_id = await queueing(chats, "later"), uuid4()
    state = (await fork(chats, source_id, new_id)).loaded.state
    assert (state.status, state.queue, state.holder) == (Status.WAITING, (), None)
    source = (await chats.load(source_id)).state
    assert (source.status, len(source.queue)) == (Status.RUNNING, 1)
    # each goes its own way, also in a cache that they share
    await told(chats, new_id, send("mine"), acquire(2))
    await told(chats, source_id, edit(2, "yours"))
    await told(chats, new_id, edit(2, "mine again"))
    for chat_id in (source_id, new_id):
        loaded = await chats.load(chat_id)
        assert loaded.state == await state_in_log(database, chat_id)
    await assert_intact(database)


async def test_a_fork_of_a_fork(database: Database, chats: Chats) -> None:
    source_id, first, second = await idle(chats), uuid4(), uuid4()
    await fork(chats, source_id, first)
    await told(chats, first, send("on"))
    state = (await fork(chats, first, second)).loaded.state
    assert state.origin == Origin(chat_id=first, version=9)
    assert state == await state_in_log(database, second)
    # what was copied is one append, so nothing ends within it
    third = uuid4()
    assert (await fork(chats, first, third, 3)).loaded.version == 9


async def test_a_fork_stands_outside_of_the_family(
    database: Database, chats: Chats
) -> None:
    root_id, (child_id,) = await family(chats, 1)
    for source_id in (root_id, child_id):
        new_id = uuid4()
        state = (await fork(chats, source_id, new_id)).loaded.state
        assert (state.children, state.is_root) == ((), True)
        await chats.execute_family(new_id, update(archived=True), actor="f")
    assert not (await state_in_log(database, child_id)).archived


async def test_a_fork_that_is_retried_finds_itself(
    database: Database, guard: Guard, chats: Chats
) -> None:
    """Also after the source went on, after the copy did, and without the source."""
    source_id, new_id = await idle(chats), uuid4()
    first = await fork(chats, source_id, new_id, **KEYED)

    async def again(process: Chats) -> None:
        process.forget_all()
        found = await fork(process, source_id, new_id, **KEYED)
        assert (found.outcome, found.events) == ("duplicate", first.events)
        assert found.loaded == await process.load(new_id)
        for other in ({}, {"key": "f:other", "request_hash": HASH}):
            with pytest.raises(Rejection) as rejected:
                await fork(process, source_id, new_id, **other)
            assert rejected.value.code == "chat-exists"
        with pytest.raises(KeyReused):
            await fork(process, source_id, new_id, **KEYED | {"request_hash": OTHER})

    async with another_process(database, guard) as others:
        for happens in (
            told(chats, source_id, send("on")),
            told(chats, new_id, send("on")),
            purge(database, source_id),
        ):
            await happens
            for process in (chats, others):
                await again(process)
    assert len(await types_in_log(database, new_id)) == 9


async def test_erasure_of_either_leaves_the_other(
    database: Database, chats: Chats
) -> None:
    kept, erased = await idle(chats), await idle(chats)
    copy_of_kept, copy_of_erased = uuid4(), uuid4()
    await fork(chats, kept, copy_of_kept)
    await fork(chats, erased, copy_of_erased)
    before = await state_in_log(database, copy_of_erased)
    for chat_id in (erased, copy_of_kept):
        await purge(database, chat_id)
    assert await state_in_log(database, copy_of_erased) == before
    assert len((await state_in_log(database, kept)).messages) == 2
    await told(chats, copy_of_erased, send("still here"))
    await assert_intact(database)
    async with await connect(database, role="dba", name="verify") as connection:
        for chat_id in (kept, erased, copy_of_kept, copy_of_erased):
            found = await connection.execute(
                "SELECT * FROM es.verify('chat', %s)", [chat_id]
            )
            assert await found.fetchall() == []
        # as sql/README.md tells it
        found = await connection.execute(
            "SELECT stream_id FROM es.events WHERE type = 'chat_forked'"
            " AND data #>> '{origin,chat_id}' = %s",
            [str(erased)],
        )
        assert await found.fetchall() == [(copy_of_erased,)]


async def test_events_of_an_old_schema_are_copied_in_the_newest(
    database: Database, appender: Appender, chats: Chats
) -> None:
    source_id, new_id = uuid4(), uuid4()
    data = {
        "at": "2025-01-01T00:00:00.000000Z",
        "organization_id": str(ORGANIZATION),
        "owner_id": str(FORKER),
        "title": "old",
    }
    await appender.append(
        request(
            StreamName("chat", source_id),
            NewEvent("chat_created", 1, data, {"id": str(uuid4()), "actor": "old"}),
        )
    )
    await fork(chats, source_id, new_id)
    copied = (await recorded(database, new_id))[0]
    assert copied.schema_version == ChatCreated.schema_version
    assert (copied.data or {})["title"] == "old"
    assert (copied.data or {})["at"] == data["at"]
