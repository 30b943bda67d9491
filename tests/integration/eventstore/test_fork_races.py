"""Forks while their source goes on: always an exact prefix that ends at a border."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from service.db.guard import Guard
from service.db.pool import Database
from service.eventstore import past
from service.eventstore.handle import Chats, Handled
from tests.builders import NOW, OWNER, commit_step, create, draft, edit
from tests.fixtures.purging import purge
from tests.integration.eventstore.appends import assert_intact
from tests.integration.eventstore.overtaking import every_race
from tests.integration.eventstore.overtaking import stepped as stepped
from tests.integration.eventstore.replicas import (
    another_process,
    recorded,
    running,
    state_in_log,
    told,
)

pytestmark = pytest.mark.usefixtures("stepped")


@dataclass(frozen=True)
class Source:
    """A chat that runs, version 4, and the chat that a race makes of it."""

    id: UUID
    copy: UUID = field(default_factory=uuid4)


@pytest_asyncio.fixture
async def processes(
    database: Database, guard: Guard, chats: Chats
) -> AsyncIterator[tuple[Chats, Chats]]:
    """Two of them; the log is whole when the test is over."""
    async with another_process(database, guard) as others:
        yield chats, others
    await assert_intact(database)


@pytest.fixture(autouse=True)
def pages_of_one_append(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every append of the source is a page of its own, so a race comes between."""
    monkeypatch.setattr(past, "LOAD_PAGE", 1)


async def source(chats: Chats) -> Source:
    return Source(await running(chats))


async def forks(chats: Chats, made: Source, **fields: Any) -> Handled:
    return await chats.fork(
        made.id,
        made.copy,
        version=None,
        owner_id=OWNER,
        now=NOW,
        actor="f",
        key="f:k",
        request_hash=b"hash",
        **fields,
    )


async def assert_exact(database: Database, made: Source) -> int:
    """The copy is a prefix, up to a border; how long it is."""
    original = await recorded(database, made.id)
    copy = await recorded(database, made.copy)
    assert copy[-1].type == "chat_forked"
    length = len(copy) - 1
    assert [(e.type, e.data) for e in copy[:-1]] == [
        (e.type, e.data) for e in original[:length]
    ]
    assert original[length - 1].at_border
    origin = (await state_in_log(database, made.copy)).origin
    assert origin is not None
    assert (origin.chat_id, origin.version) == (made.id, length)
    return length


@pytest.mark.parametrize(
    ("command", "length"),
    [(commit_step(2, draft("a"), draft("b")), 3), (edit(2, "rather"), 2)],
    ids=["commit", "edit"],
)
async def test_a_fork_meets_an_append_to_its_source(
    database: Database, processes: tuple[Chats, Chats], command: Any, length: int
) -> None:
    async def goes_on(chats: Chats, made: Source) -> Handled:
        return await told(chats, made.id, command)

    seen = set()
    async for made, *outcomes in every_race(processes, source, forks, goes_on):
        assert outcomes == ["appended", "appended"]
        seen.add(await assert_exact(database, made))
    assert seen == {4, 4 + length}


async def test_a_fork_meets_itself(
    database: Database, processes: tuple[Chats, Chats]
) -> None:
    async for made, *outcomes in every_race(processes, source, forks, forks):
        assert sorted(outcomes) == ["appended", "duplicate"]
        assert await assert_exact(database, made) == 4


async def test_a_fork_meets_a_chat_of_the_same_id(
    database: Database, processes: tuple[Chats, Chats]
) -> None:
    async def creates(chats: Chats, made: Source) -> Handled:
        return await told(chats, made.copy, create())

    async for made, *outcomes in every_race(processes, source, forks, creates):
        assert sorted(outcomes) == ["appended", "chat-exists"]
        if outcomes[0] == "appended":
            assert await assert_exact(database, made) == 4


async def test_a_fork_meets_the_erasure_of_its_source(
    database: Database, processes: tuple[Chats, Chats]
) -> None:
    """A whole copy from before, or none; never half of one."""

    async def erases(chats: Chats, made: Source) -> Handled:
        loaded = await chats.load(made.id)
        await purge(database, made.id)
        return Handled("appended", (), loaded)

    seen = set()
    async for made, *outcomes in every_race(processes, source, forks, erases):
        assert outcomes[1] == "appended"
        seen.add(outcomes[0])
        copy = await recorded(database, made.copy)
        if outcomes[0] == "appended":
            assert len(copy) == 5
            assert (await state_in_log(database, made.copy)).messages
        else:
            assert copy == []
    assert seen == {"appended", "chat-not-found"}
