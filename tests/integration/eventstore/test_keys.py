"""A request that comes again, with its key: the first result, whatever came after."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4, uuid5

import pytest

from service.db.guard import Guard
from service.db.pool import Database, Pool
from service.errors import AppendUnknown, KeyReused, Rejection
from service.eventstore.appender import Appender
from service.eventstore.handle import Chats, Handled
from tests.builders import NOW, OWNER, create, interrupt, send, update
from tests.integration.eventstore.appends import (
    assert_intact,
    held_head,
    terminate_appenders,
)
from tests.integration.eventstore.replicas import (
    CACHE_BYTES,
    another_process,
    family,
    idle,
    running,
    told,
    types_in_log,
)

HASH = b"hash of the request"
OTHER = b"hash of another one"

Asking = Callable[[Chats, UUID, bytes], Awaitable[Handled]]


async def test_the_same_key_gives_the_first_events(
    database: Database, chats: Chats, chat_id: UUID
) -> None:
    async def say() -> Handled:
        return await chats.execute(
            chat_id, send("again"), actor="a", key="a:k", request_hash=HASH
        )

    await chats.execute(chat_id, create(), actor="a")
    first = await say()
    await chats.execute(chat_id, send("more"), actor="a")
    again = await say()
    assert (first.outcome, again.outcome) == ("appended", "duplicate")
    assert again.events == first.events
    assert again.loaded.version == 4
    assert (await types_in_log(database, chat_id)).count("message_queued") == 2


async def test_a_create_that_is_retried_finds_itself(
    database: Database, guard: Guard, chats: Chats, chat_id: UUID
) -> None:
    """Decide rejects the second create; the key tells that it was this very one."""
    first = await chats.execute(
        chat_id, create(), actor="a", key="a:k", request_hash=HASH
    )
    await chats.execute(chat_id, interrupt(), actor="a")
    async with another_process(database, guard) as others:
        for each in (chats, others):
            again = await each.execute(
                chat_id, create(), actor="a", key="a:k", request_hash=HASH
            )
            assert (again.outcome, again.events) == ("duplicate", first.events)
            assert again.loaded == await chats.load(chat_id)


async def test_a_key_with_another_request_is_refused(
    chats: Chats, chat_id: UUID
) -> None:
    await chats.execute(chat_id, create(), actor="a", key="a:k", request_hash=HASH)
    for command in (create("other"), send("other")):
        with pytest.raises(KeyReused):
            await chats.execute(
                chat_id, command, actor="a", key="a:k", request_hash=OTHER
            )
    assert (await chats.load(chat_id)).version == 2


async def test_one_key_from_two_processes_at_once_is_one_request(
    database: Database, guard: Guard, chats: Chats, chat_id: UUID
) -> None:
    async with another_process(database, guard) as others:
        handled = await asyncio.gather(
            *(
                each.execute(chat_id, create(), actor="a", key="a:k", request_hash=HASH)
                for each in (chats, others) * 5
            )
        )
    assert sorted(h.outcome for h in handled) == ["appended"] + ["duplicate"] * 9
    assert all(h.events == handled[0].events for h in handled)


async def test_a_rejection_does_not_use_up_its_key(chats: Chats, chat_id: UUID) -> None:
    with pytest.raises(Rejection):
        await chats.execute(chat_id, send(), actor="a", key="a:k", request_hash=HASH)
    made = await chats.execute(
        chat_id, create(), actor="a", key="a:k", request_hash=OTHER
    )
    assert made.outcome == "appended"


async def test_a_key_needs_the_hash_of_its_request(chats: Chats, chat_id: UUID) -> None:
    with pytest.raises(ValueError, match="hash"):
        await chats.execute(chat_id, create(), actor="a", key="a:k")


async def test_what_was_so_already_does_not_hide_that_this_request_made_it_so(
    chats: Chats, chat_id: UUID
) -> None:
    await chats.execute(chat_id, create(), actor="a")

    async def rename(asked: bytes) -> Handled:
        return await chats.execute(
            chat_id, update(title="noon"), actor="a", key="a:k", request_hash=asked
        )

    first = await rename(HASH)
    assert [e.type for _, e in first.events] == ["title_changed"]
    again = await rename(HASH)
    assert (again.outcome, again.events) == ("duplicate", first.events)
    with pytest.raises(KeyReused):
        await rename(OTHER)


# every kind of request, asked with key k of caller a


async def sends(chats: Chats, chat_id: UUID, asked: bytes) -> Handled:
    return await chats.execute(
        chat_id, send(), actor="a", key="a:k", request_hash=asked
    )


async def archives(chats: Chats, root_id: UUID, asked: bytes) -> Handled:
    return await chats.execute_family(
        root_id, update(archived=True), actor="a", key="a:k", request_hash=asked
    )


async def spawns(chats: Chats, root_id: UUID, asked: bytes) -> Handled:
    child_id = uuid5(root_id, "k")
    return await chats.spawn(
        root_id, child_id, create(), actor="a", key="a:k", request_hash=asked
    )


async def forks(chats: Chats, source_id: UUID, asked: bytes) -> Handled:
    return await chats.fork(
        source_id,
        uuid5(source_id, "k"),
        version=None,
        owner_id=OWNER,
        now=NOW,
        actor="a",
        key="a:k",
        request_hash=asked,
    )


async def a_family(chats: Chats) -> UUID:
    return (await family(chats))[0]


KINDS = pytest.mark.parametrize(
    ("scene", "asks"),
    [(idle, sends), (a_family, archives), (running, spawns), (idle, forks)],
    ids=["send", "archive", "spawn", "fork"],
)


@KINDS
@pytest.mark.parametrize("lost", [False, True], ids=["committed", "lost"])
async def test_a_retry_after_an_unknown_outcome_is_safe(
    database: Database,
    guard: Guard,
    chats: Chats,
    scene: Callable[[Chats], Awaitable[UUID]],
    asks: Asking,
    lost: bool,
) -> None:
    """The first one was committed later, or its connection broke before it was."""
    chat_id = await scene(chats)
    async with (
        Pool(database, guard=guard, size=2) as pool,
        Appender(database, guard=guard, queue_size=9, deadline_s=1) as appender,
        another_process(database, guard) as others,
    ):
        hasty = Chats(pool, appender, cache_bytes=CACHE_BYTES)
        await told(hasty, uuid4(), create())
        async with held_head(database) as head:
            asking = asyncio.create_task(asks(hasty, chat_id, HASH))
            await head.waiting()
            with pytest.raises(AppendUnknown):
                await asking
            if lost:
                await terminate_appenders(database)
            await head.release()
        results = [await asks(process, chat_id, HASH) for process in (others, hasty)]
        assert results[0].events == results[1].events
        assert results[1].outcome == "duplicate"
        assert results[0].loaded == results[1].loaded
        if not lost:
            assert results[0].outcome == "duplicate"
    await assert_intact(database)


@KINDS
async def test_every_kind_of_request_gives_its_first_result_for_ever(
    database: Database,
    guard: Guard,
    chats: Chats,
    scene: Callable[[Chats], Awaitable[UUID]],
    asks: Asking,
) -> None:
    """In this process, in one that has lost its cache, and in another one."""
    chat_id = await scene(chats)
    first = await asks(chats, chat_id, HASH)
    length = len(await types_in_log(database, chat_id))
    async with another_process(database, guard) as others:
        for process in (chats, chats, others):
            again = await asks(process, chat_id, HASH)
            assert (again.outcome, again.events) == ("duplicate", first.events)
            assert again.loaded == first.loaded
            with pytest.raises(KeyReused):
                await asks(process, chat_id, OTHER)
            process.forget_all()
    assert len(await types_in_log(database, chat_id)) == length
    await assert_intact(database)
