"""Families under fire: archived whole or not at all, whatever the members do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from service.db.guard import Guard
from service.db.pool import Database
from service.domain.chat.state import ChatState, Status
from service.domain.chat.transitions import RUNNABLE, classify
from service.domain.commands.chat import UpdateChat
from service.eventstore.handle import Chats, Handled
from tests.builders import (
    acquire,
    commit_step,
    create,
    finish_turn,
    send,
    start_attempt,
    update,
)
from tests.fixtures.purging import purge
from tests.integration.eventstore.appends import assert_intact
from tests.integration.eventstore.overtaking import every_race, outcome_of
from tests.integration.eventstore.overtaking import stepped as stepped
from tests.integration.eventstore.replicas import (
    a_turn,
    another_process,
    family,
    running,
    state_in_log,
    told,
    types_in_log,
)

pytestmark = pytest.mark.usefixtures("stepped")

ARCHIVE, BACK = update(archived=True), update(archived=False)


@dataclass(frozen=True)
class Family:
    """A root, its children, and the child that a race is about to add."""

    root: UUID
    children: list[UUID]
    next_child: UUID = field(default_factory=uuid4)


@pytest_asyncio.fixture
async def processes(
    database: Database, guard: Guard, chats: Chats
) -> AsyncIterator[tuple[Chats, Chats]]:
    """Two of them; the log is whole when the test is over."""
    async with another_process(database, guard) as others:
        yield chats, others
    await assert_intact(database)


async def two_children(chats: Chats) -> Family:
    return Family(*await family(chats, 2))


async def archived(chats: Chats) -> Family:
    made = await two_children(chats)
    await chats.execute_family(made.root, ARCHIVE, actor="a")
    return made


async def a_root_at_work(chats: Chats) -> Family:
    """Its answer is committed; epoch 5."""
    root = await running(chats)
    await told(chats, root, commit_step(2))
    return Family(root, [])


def moves(command: UpdateChat, key: str | None = None):  # type: ignore[no-untyped-def]
    async def doing(chats: Chats, made: Family) -> Handled:
        return await chats.execute_family(
            made.root, command, actor="a", key=key, request_hash=b"hash"
        )

    return doing


async def spawns(chats: Chats, made: Family) -> Handled:
    return await chats.spawn(
        made.root,
        made.next_child,
        create("child"),
        actor="a",
        key="a:spawn",
        request_hash=b"hash",
    )


async def spawns_another(chats: Chats, made: Family) -> Handled:
    return await chats.spawn(made.root, uuid4(), create("other"), actor="a")


async def wakes_a_child(chats: Chats, made: Family) -> Handled:
    return await told(chats, made.children[1], send("go on"))


async def states(database: Database, made: Family) -> list[ChatState]:
    return [await state_in_log(database, c) for c in (made.root, *made.children)]


async def test_an_archive_meets_a_message_to_a_child(
    database: Database, processes: tuple[Chats, Chats]
) -> None:
    seen = set()
    async for made, *outcomes in every_race(
        processes, two_children, moves(ARCHIVE), wakes_a_child
    ):
        seen.add(tuple(outcomes))
        members = await states(database, made)
        assert len({member.archived for member in members}) == 1
        if outcomes[0] == "appended":
            assert all(member.status is Status.WAITING for member in members)
            assert members[0].archived
        else:
            assert members[2].status is Status.RUNNING
    assert seen == {("appended", "chat-archived"), ("chat-active", "appended")}


async def test_a_return_meets_a_message_to_a_child(
    database: Database, processes: tuple[Chats, Chats]
) -> None:
    seen = set()
    async for made, *outcomes in every_race(
        processes, archived, moves(BACK), wakes_a_child
    ):
        seen.add(tuple(outcomes))
        members = await states(database, made)
        assert not any(member.archived for member in members)
        assert members[2].status is (
            Status.RUNNING if outcomes[1] == "appended" else Status.WAITING
        )
    assert seen == {("appended", "appended"), ("appended", "chat-archived")}


async def test_an_archive_meets_a_spawn(
    database: Database, processes: tuple[Chats, Chats]
) -> None:
    """A root that runs cannot be archived; so who archives, ends the turn first."""

    async def ends_and_archives(chats: Chats, made: Family) -> Handled:
        await told(chats, made.root, finish_turn(5))
        return await moves(ARCHIVE)(chats, made)

    seen = set()
    async for made, *outcomes in every_race(
        processes, a_root_at_work, ends_and_archives, spawns
    ):
        seen.add(tuple(outcomes))
        root = await state_in_log(database, made.root)
        child = await state_in_log(database, made.next_child)
        if outcomes[1] == "appended":
            # the child runs, so the family stays
            assert (root.archived, root.children) == (False, (made.next_child,))
            assert (child.root_chat_id, child.status) == (made.root, Status.RUNNING)
        else:
            assert (root.archived, root.children) == (True, ())
            assert await types_in_log(database, made.next_child) == []
    assert ("chat-active", "appended") in seen
    assert ("appended", "chat-archived") in seen


async def test_an_archive_takes_a_child_along_that_came_meanwhile(
    database: Database, processes: tuple[Chats, Chats]
) -> None:
    """The root gets a child, and both are done, between two steps of the archive."""

    async def spawns_and_ends(chats: Chats, made: Family) -> Handled:
        await told(chats, made.root, send("dig"))
        handled = await spawns(chats, made)
        await told(chats, made.next_child, *a_turn())
        term = (await chats.load(made.root)).state.term + 1
        await told(chats, made.root, acquire(term))
        epoch = (await chats.load(made.root)).state.epoch
        fence = {"term": term}
        for command in (start_attempt(epoch, **fence), commit_step(epoch, **fence)):
            await told(chats, made.root, command)
        epoch = (await chats.load(made.root)).state.epoch
        await told(chats, made.root, finish_turn(epoch, **fence))
        return handled

    seen = set()
    async for made, *outcomes in every_race(
        processes, two_children, moves(ARCHIVE), spawns_and_ends
    ):
        seen.add(tuple(outcomes))
        root = await state_in_log(database, made.root)
        for chat_id in root.children:
            member = await state_in_log(database, chat_id)
            assert member.archived is root.archived
            assert not (member.archived and classify(member) in RUNNABLE)
    assert ("appended", "appended") in seen
    assert ("appended", "chat-archived") in seen


async def test_of_two_archives_one_archives(
    database: Database, processes: tuple[Chats, Chats]
) -> None:
    async for made, *outcomes in every_race(
        processes, two_children, moves(ARCHIVE), moves(ARCHIVE)
    ):
        assert sorted(outcomes) == ["already-archived", "appended"]
        for chat_id in (made.root, *made.children):
            assert (await types_in_log(database, chat_id)).count("chat_archived") == 1


async def test_an_archive_meets_itself(
    database: Database, processes: tuple[Chats, Chats]
) -> None:
    """One key, from two replicas: a proxy that asked again."""
    retried = moves(ARCHIVE, "a:archive")
    async for made, *outcomes in every_race(processes, two_children, retried, retried):
        assert sorted(outcomes) == ["appended", "duplicate"]
        for chat_id in (made.root, *made.children):
            assert (await types_in_log(database, chat_id)).count("chat_archived") == 1


async def test_a_spawn_meets_itself(
    database: Database, processes: tuple[Chats, Chats]
) -> None:
    async for made, *outcomes in every_race(processes, a_root_at_work, spawns, spawns):
        assert sorted(outcomes) == ["appended", "duplicate"]
        root = await state_in_log(database, made.root)
        assert root.children == (made.next_child,)
        assert len(await types_in_log(database, made.next_child)) == 2


async def test_two_children_are_spawned_at_once(
    database: Database, processes: tuple[Chats, Chats]
) -> None:
    async for made, *outcomes in every_race(
        processes, a_root_at_work, spawns, spawns_another
    ):
        assert outcomes == ["appended", "appended"]
        root = await state_in_log(database, made.root)
        assert len(root.children) == 2
        for child_id in root.children:
            assert (await state_in_log(database, child_id)).root_chat_id == made.root


async def test_an_archive_meets_the_erasure_of_a_child(
    database: Database, processes: tuple[Chats, Chats]
) -> None:
    async def erases(chats: Chats, made: Family) -> Handled:
        loaded = await chats.load(made.children[0])
        await purge(database, made.children[0])
        return Handled("appended", (), loaded)

    async for made, *outcomes in every_race(
        processes, two_children, moves(ARCHIVE), erases
    ):
        assert outcomes == ["appended", "appended"]
        root, erased, kept = await states(database, made)
        assert root.archived
        assert kept.archived
        assert not erased.exists


@pytest.mark.parametrize("command", [ARCHIVE, BACK], ids=["archive", "back"])
async def test_a_child_that_another_process_moved_goes_along(
    database: Database, processes: tuple[Chats, Chats], command: UpdateChat
) -> None:
    """This process remembers the child where it belongs, from before the move."""
    here, there = processes
    made = await two_children(here)
    if command is ARCHIVE:
        await here.execute_family(made.root, ARCHIVE, actor="a")
    for child in made.children:
        await here.load(child)
    away = BACK if command is ARCHIVE else ARCHIVE
    await there.execute_family(made.root, away, actor="a")
    await here.load(made.root)
    await here.execute_family(made.root, command, actor="a")
    moved = {member.archived for member in await states(database, made)}
    assert moved == {command.archived}


async def test_nobody_waits_in_a_circle(
    database: Database, processes: tuple[Chats, Chats]
) -> None:
    """Requests over several chats and over one, of two processes, all at once."""
    made = await two_children(processes[0])
    members = (made.root, *made.children)
    works = [
        outcome_of(work)
        for process in processes
        for _ in range(4)
        for work in (
            process.execute_family(made.root, ARCHIVE, actor="a"),
            *(told(process, member, update(title=str(uuid4()))) for member in members),
            process.execute_family(made.root, BACK, actor="a"),
        )
    ]
    outcomes = await asyncio.gather(*works)
    assert set(outcomes) <= {"appended", "already-archived", "not-archived"}
    assert outcomes.count("appended") >= 8 * len(members)
    assert len({member.archived for member in await states(database, made)}) == 1
