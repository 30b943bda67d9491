"""Commands on chats: decided and appended; one process and several."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from service.db.guard import Guard
from service.db.pool import Database, Pool
from service.domain.events.chat import MessageAppended, MessageQueued
from service.errors import (
    FutureEvent,
    Rejection,
    WrongExpectedVersion,
)
from service.eventstore.appender import Appender
from service.eventstore.executor import ATTEMPTS
from service.eventstore.handle import Chats
from service.eventstore.records import (
    AppendRequest,
    AppendResult,
    NewEvent,
    StreamName,
)
from tests.builders import (
    WORKER,
    acquire,
    create,
    send,
    start_attempt,
)
from tests.integration.eventstore.appends import (
    assert_intact,
    held_head,
    request,
    terminate_appenders,
    whole_stream,
)
from tests.integration.eventstore.replicas import (
    another_process,
    state_in_log,
    types_in_log,
)


async def test_a_chat_that_does_not_exist_is_version_0(
    chats: Chats, chat_id: UUID
) -> None:
    loaded = await chats.load(chat_id)
    assert (loaded.version, loaded.state.exists) == (0, False)
    assert chats.peek(chat_id) is None


async def test_a_command_tells_its_events_and_the_state_after_them(
    database: Database, chats: Chats, chat_id: UUID
) -> None:
    handled = await chats.execute(chat_id, create("hello"), actor="user:1")
    assert handled.outcome == "appended"
    assert [(version, e.type) for version, e in handled.events] == [
        (1, "chat_created"),
        (2, "message_appended"),
    ]
    loaded = await chats.load(chat_id)
    assert loaded == handled.loaded == chats.peek(chat_id)
    assert loaded.state == await state_in_log(database, chat_id)
    assert loaded.version == 2


async def test_metadata_says_who_and_why(
    database: Database, chats: Chats, chat_id: UUID
) -> None:
    await chats.execute(
        chat_id, create(), actor="user:1", correlation_id="r1", causation_id="c1"
    )
    await chats.execute(chat_id, send(), actor="user:2")
    events = await whole_stream(database, StreamName("chat", chat_id))
    metadata = [e.metadata or {} for e in events]
    ids = {UUID(m.pop("id")) for m in metadata}
    assert len(ids) == len(events)
    assert metadata[0] == {
        "actor": "user:1",
        "correlation_id": "r1",
        "causation_id": "c1",
    }
    assert metadata[-1] == {"actor": "user:2"}


async def test_a_rejection_is_raised_and_appends_nothing(
    database: Database, chats: Chats, chat_id: UUID
) -> None:
    with pytest.raises(Rejection) as rejected:
        await chats.execute(chat_id, send(), actor="user:1")
    assert rejected.value.code == "chat-not-found"
    assert await types_in_log(database, chat_id) == []


async def test_a_command_without_a_key_survives_a_lost_connection(
    database: Database, chats: Chats, chat_id: UUID
) -> None:
    await chats.execute(chat_id, create(), actor="a")
    async with held_head(database) as head:
        task = asyncio.create_task(chats.execute(chat_id, send(), actor="a"))
        await head.waiting()
        await terminate_appenders(database)
        await head.release()
    assert (await task).outcome == "appended"
    assert await types_in_log(database, chat_id) == [
        "chat_created",
        "message_appended",
        "message_queued",
    ]


# races


async def test_commands_of_one_process_on_one_chat_all_get_through(
    database: Database, chats: Chats, chat_id: UUID
) -> None:
    await chats.execute(chat_id, create(), actor="a")
    commands = [send(str(n)) for n in range(20)]
    handled = await asyncio.gather(
        *(chats.execute(chat_id, command, actor="a") for command in commands)
    )
    assert [h.events[0][0] for h in handled] == list(range(3, 23))
    queue = (await state_in_log(database, chat_id)).queue
    assert [m.parts for m in queue] == [c.parts for c in commands]


async def test_two_processes_on_one_chat_both_get_through(
    database: Database, guard: Guard, chats: Chats, chat_id: UUID
) -> None:
    await chats.execute(chat_id, create(), actor="a")

    async def say(process: Chats, name: str) -> None:
        for n in range(8):
            await process.execute(chat_id, send(f"{name}{n}"), actor=name)

    async with another_process(database, guard) as others:
        await asyncio.gather(say(chats, "a"), say(others, "b"))
        both = [await p.load(chat_id) for p in (chats, others)]
    assert both[0] == both[1]
    assert both[0].state == await state_in_log(database, chat_id)
    said = [m.parts[0].text for m in both[0].state.queue]  # type: ignore[union-attr]
    assert sorted(said) == sorted(f"{name}{n}" for name in "ab" for n in range(8))
    assert [s for s in said if s[0] == "a"] == [f"a{n}" for n in range(8)]
    await assert_intact(database)


class Overtaken(Appender):
    """An appender whose first appends come after a rival's."""

    rival: Chats
    chat_id: UUID
    overtakes = 0

    async def append(self, request: AppendRequest) -> AppendResult:
        if self.overtakes:
            self.overtakes -= 1
            await self.rival.execute(self.chat_id, send("rival"), actor="rival")
        return await super().append(request)


@pytest.mark.parametrize("overtakes", [1, 4, ATTEMPTS + 1])
async def test_a_conflict_is_decided_again_but_not_for_ever(
    database: Database, guard: Guard, chats: Chats, chat_id: UUID, overtakes: int
) -> None:
    await chats.execute(chat_id, create(), actor="a")
    async with (
        Pool(database, guard=guard, size=2) as pool,
        Overtaken(database, guard=guard, queue_size=9, deadline_s=60) as appender,
    ):
        slow = Chats(pool, appender, cache_bytes=1_000_000)
        await slow.load(chat_id)
        appender.rival, appender.chat_id = chats, chat_id
        appender.overtakes = overtakes
        if overtakes > ATTEMPTS:
            with pytest.raises(WrongExpectedVersion):
                await slow.execute(chat_id, send("slow"), actor="b")
        else:
            handled = await slow.execute(chat_id, send("slow"), actor="b")
            assert handled.events[0][0] == 3 + overtakes
            assert handled.loaded == await chats.load(chat_id)


async def test_a_conflict_can_turn_into_a_rejection(
    database: Database, guard: Guard, chats: Chats, chat_id: UUID
) -> None:
    """Two workers acquire with the same term: one of them is told no."""
    await chats.execute(chat_id, create(), actor="a")
    async with another_process(database, guard) as others:
        await others.load(chat_id)
        await chats.execute(chat_id, acquire(1, "w1"), actor="w1")
        with pytest.raises(Rejection):
            await others.execute(chat_id, acquire(1, "w2"), actor="w2")


async def test_a_rejection_is_never_based_on_a_stale_cache(
    database: Database, guard: Guard, chats: Chats, chat_id: UUID
) -> None:
    """What the cache would refuse, since nobody holds the chat there, is allowed."""
    await chats.execute(chat_id, create(), actor="a")
    async with another_process(database, guard) as others:
        await others.execute(chat_id, acquire(1, WORKER), actor=WORKER)
    handled = await chats.execute(chat_id, start_attempt(2), actor=WORKER)
    assert handled.events[0][1].type == "generation_attempt_started"


async def test_a_cancelled_command_leaves_the_chat_to_the_next(
    database: Database, chats: Chats, chat_id: UUID
) -> None:
    await chats.execute(chat_id, create(), actor="a")
    async with held_head(database) as head:
        tasks = [
            asyncio.create_task(chats.execute(chat_id, send(str(n)), actor="a"))
            for n in range(3)
        ]
        await head.waiting()
        tasks[0].cancel()
        tasks[1].cancel()
        await head.release()
    first, second, third = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert isinstance(second, asyncio.CancelledError)
    assert not isinstance(third, BaseException)
    assert third.loaded == await chats.load(chat_id)
    queue = (await state_in_log(database, chat_id)).queue
    assert [m.parts[0].text for m in queue] == ["0", "2"]  # type: ignore[union-attr]


# events of others


async def test_an_event_of_a_newer_release_stops_this_chat_only(
    appender: Appender, chats: Chats, chat_id: UUID
) -> None:
    other = uuid4()
    for each in (chat_id, other):
        await chats.execute(each, create(), actor="a")
    await appender.append(
        request(StreamName("chat", chat_id), NewEvent("from_tomorrow", 1, {}))
    )
    for _ in range(2):
        with pytest.raises(FutureEvent):
            await chats.execute(chat_id, send(), actor="a")
    assert (await chats.execute(other, send(), actor="a")).outcome == "appended"


async def test_a_turn_in_one_append_has_the_versions_of_its_events(
    chats: Chats, chat_id: UUID
) -> None:
    handled = await chats.execute(
        chat_id, create("hi", system_prompt="be brief"), actor="a"
    )
    assert [version for version, _ in handled.events] == [1, 2, 3]
    later = await chats.execute(chat_id, send("next"), actor="a")
    ((version, queued),) = later.events
    assert version == 4
    assert isinstance(queued, MessageQueued)
    assert isinstance(handled.events[2][1], MessageAppended)
