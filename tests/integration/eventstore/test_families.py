"""Families: children that are spawned, and archived and brought back together."""

from __future__ import annotations

from uuid import uuid4

import pytest

from service.db.guard import Guard
from service.db.pool import Database
from service.domain.events.chat import ChatCreated, ChildSpawned
from service.errors import KeyReused, Rejection
from service.eventstore.handle import Chats, Handled
from tests.builders import create, interrupt, send, update
from tests.fixtures.purging import purge
from tests.integration.eventstore.appends import assert_intact
from tests.integration.eventstore.replicas import (
    another_process,
    family,
    idle,
    recorded,
    running,
    state_in_log,
    told,
    types_in_log,
)

HASH = b"hash of the request"
OTHER = b"hash of another one"

ARCHIVE, BACK = update(archived=True), update(archived=False)


async def archive(chats: Chats, root: object, **fields: object) -> Handled:
    return await chats.execute_family(root, ARCHIVE, actor="a", **fields)  # type: ignore[arg-type]


# spawning


async def test_a_child_is_created_and_named_by_its_root_in_one_request(
    database: Database, chats: Chats
) -> None:
    root_id, child_id = await running(chats), uuid4()
    handled = await chats.spawn(
        root_id, child_id, create("dig", client_type="ui"), actor="worker:w1"
    )
    assert [version for version, _ in handled.events] == [1, 2]
    created = handled.events[0][1]
    assert isinstance(created, ChatCreated)
    assert (created.parent_chat_id, created.root_chat_id) == (root_id, root_id)
    root = await chats.load(root_id)
    assert root.state.children == (child_id,)
    assert root.state == await state_in_log(database, root_id)
    assert created.client_type == root.state.client_type == "api"
    assert created.organization_id == root.state.organization_id
    spawned = (await recorded(database, root_id))[-1]
    assert spawned.type == ChildSpawned.model_fields["type"].default
    assert (spawned.metadata or {})["actor"] == "worker:w1"
    assert handled.loaded == await chats.load(child_id)
    # one commit: the positions are neighbours
    first, second, third = sorted(
        [spawned.position, *(e.position for e in await recorded(database, child_id))]
    )
    assert (second, third) == (first + 1, first + 2)
    await assert_intact(database)


async def test_only_a_root_that_runs_spawns(database: Database, chats: Chats) -> None:
    root_id, waiting, child_id = await running(chats), await idle(chats), uuid4()
    await chats.spawn(root_id, child_id, create(), actor="a")
    for parent, code in (
        (uuid4(), "chat-not-found"),
        (waiting, "invalid-state"),
        (child_id, "not-a-root"),
    ):
        wanted = uuid4()
        with pytest.raises(Rejection) as rejected:
            await chats.spawn(parent, wanted, create(), actor="a")
        assert rejected.value.code == code
        assert await types_in_log(database, wanted) == []


async def test_a_spawn_that_is_retried_finds_itself(
    database: Database, guard: Guard, chats: Chats
) -> None:
    """Also when the root has finished since, and in a process that knows nothing."""
    root_id, child_id = await running(chats), uuid4()

    async def spawn(process: Chats, child: object = child_id, asked: bytes = HASH):  # type: ignore[no-untyped-def]
        return await process.spawn(
            root_id,
            child,  # type: ignore[arg-type]
            create("dig"),
            actor="a",
            key="a:k",
            request_hash=asked,
        )

    first = await spawn(chats)
    async with another_process(database, guard) as others:
        for process in (chats, others):
            again = await spawn(process)
            assert (again.outcome, again.events) == ("duplicate", first.events)
        await told(chats, root_id, interrupt())
        for process in (chats, others):
            process.forget_all()
            again = await spawn(process)
            assert (again.outcome, again.events) == ("duplicate", first.events)
            with pytest.raises(KeyReused):
                await spawn(process, asked=OTHER)
    assert (await types_in_log(database, root_id)).count("child_spawned") == 1


async def test_a_key_that_spawned_one_child_spawns_no_other(
    database: Database, chats: Chats
) -> None:
    root_id, other = await running(chats), uuid4()
    for child_id in (uuid4(), other):
        spawning = chats.spawn(
            root_id, child_id, create(), actor="a", key="a:k", request_hash=HASH
        )
        if child_id == other:
            with pytest.raises(KeyReused):
                await spawning
        else:
            await spawning
    assert await types_in_log(database, other) == []


# archiving


async def test_a_family_goes_and_comes_back_in_one_append(
    database: Database, chats: Chats
) -> None:
    root_id, children = await family(chats)
    for command, archived in ((ARCHIVE, True), (BACK, False)):
        handled = await chats.execute_family(root_id, command, actor="a")
        assert handled.loaded == await chats.load(root_id)
        ends = []
        for chat_id in (root_id, *children):
            state = (await chats.load(chat_id)).state
            assert state.archived is archived
            assert state == await state_in_log(database, chat_id)
            ends.append((await recorded(database, chat_id))[-1].position)
        assert sorted(ends) == list(range(min(ends), min(ends) + 3))
    await assert_intact(database)


async def test_an_active_child_keeps_the_whole_family(
    database: Database, chats: Chats
) -> None:
    root_id, children = await family(chats)
    await told(chats, children[1], send("go on"))
    with pytest.raises(Rejection) as rejected:
        await archive(chats, root_id)
    assert rejected.value.code == "chat-active"
    for chat_id in (root_id, *children):
        assert not (await state_in_log(database, chat_id)).archived


async def test_what_else_the_root_is_told_goes_with_it(
    database: Database, chats: Chats
) -> None:
    root_id, children = await family(chats, 1)
    handled = await chats.execute_family(
        root_id, update(title="done", archived=True), actor="a"
    )
    assert [e.type for _, e in handled.events] == ["title_changed", "chat_archived"]
    assert (await types_in_log(database, children[0]))[-1] == "chat_archived"


async def test_an_update_that_moves_nothing_leaves_the_children_alone(
    database: Database, chats: Chats
) -> None:
    root_id, children = await family(chats, 1)
    before = await types_in_log(database, children[0])
    await chats.execute_family(root_id, update(title="new"), actor="a")
    assert (await chats.load(root_id)).state.title == "new"
    assert await types_in_log(database, children[0]) == before


async def test_a_child_is_not_archived_by_itself(chats: Chats) -> None:
    _, children = await family(chats, 1)
    with pytest.raises(Rejection) as rejected:
        await archive(chats, children[0])
    assert rejected.value.code == "not-a-root"


async def test_an_archive_that_is_retried_gives_the_first_result(
    database: Database, guard: Guard, chats: Chats
) -> None:
    """Also after the family came back, and got another child."""
    root_id, _ = await family(chats)
    first = await archive(chats, root_id, key="a:k", request_hash=HASH)
    async with another_process(database, guard) as others:
        for process in (chats, others):
            again = await archive(process, root_id, key="a:k", request_hash=HASH)
            assert (again.outcome, again.events) == ("duplicate", first.events)
            with pytest.raises(KeyReused):
                await archive(process, root_id, key="a:k", request_hash=OTHER)
        with pytest.raises(Rejection) as rejected:
            await archive(others, root_id, key="a:other", request_hash=HASH)
        assert rejected.value.code == "already-archived"
        await chats.execute_family(root_id, BACK, actor="a")
        others.forget_all()
        for process in (chats, others):
            again = await archive(process, root_id, key="a:k", request_hash=HASH)
            assert (again.outcome, again.events) == ("duplicate", first.events)
    assert not (await state_in_log(database, root_id)).archived


async def test_a_child_that_was_erased_is_no_member_any_more(
    database: Database, guard: Guard, chats: Chats
) -> None:
    """Whether the process knows of the erasure or not."""
    root_id, (erased, kept) = await family(chats)
    async with another_process(database, guard) as others:
        for chat_id in (root_id, erased, kept):
            await others.load(chat_id)
        await purge(database, erased)
        await archive(others, root_id)
    assert (await state_in_log(database, kept)).archived
    assert (await types_in_log(database, erased))[-1] == "stream_purged"
