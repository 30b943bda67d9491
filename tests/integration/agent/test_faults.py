"""The database away or emptied, a bug, a newer release, a clock that jumps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from service.agent.runner import Outcome
from service.db.guard import Guard
from service.db.migrate import migrate
from service.domain.events.chat import Purpose
from service.errors import DatabaseAway
from service.eventstore.fold import Loaded
from service.eventstore.handle import Chats
from service.eventstore.records import (
    ANY,
    AppendRequest,
    NewEvent,
    StreamAppend,
    StreamName,
)
from service.providers.models import Model, OneModel
from service.providers.provider import BlockEnd, Delta, Finish, ReasoningDelta
from service.providers.scripted import Scripted
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.servers import RestartableServer
from tests.fixtures.stack import Stack
from tests.integration.agent import crew
from tests.integration.agent.clients import ASKING, SO, chat_with_client, submit
from tests.integration.agent.crew import (
    Gated,
    Speaks,
    Watch,
    counted,
    hand,
    history,
    rests,
    texts,
    types,
    used,
)


@asynccontextmanager
async def on(server: RestartableServer) -> AsyncIterator[Stack]:
    await migrate(server.database)
    async with Stack(server.database, Guard("raise")) as stack:
        yield stack


async def test_a_restart_of_postgres_costs_the_turn_nothing(
    restartable_server: RestartableServer,
) -> None:
    """The model goes on, the commit waits: one attempt, one message."""
    provider = Gated()
    async with on(restartable_server) as stack, hand(stack, provider=provider):
        watch = Watch(stack)
        chat = await ChatByHand.create(stack)
        await provider.asked.wait()
        await restartable_server.stop()
        provider.gate.set()
        await restartable_server.start()
        state = await watch.until(chat.id, rests)
        assert texts(state) == ["well then"]
        events = types(await history(stack, chat.id))
    assert events.count("generation_attempt_started") == 1


async def test_after_a_crash_of_postgres_the_chat_is_taken_again(
    restartable_server: RestartableServer,
) -> None:
    """Leases are gone: the chat is lost, and taken one lease time after the outage."""
    async with (
        on(restartable_server) as stack,
        hand(stack, rate=50, lease_s=1.0) as only,
    ):
        watch = Watch(stack)
        chat = await ChatByHand.create(stack, "count 100")
        async with stack.follow(chat.id, after="0") as client:
            await client.until(lambda c: len(c.named("message_part")) >= 5)
            await restartable_server.kill()
            await restartable_server.start()
            assert await only.worker.signals.lost.wait() == chat.id
            await client.until(lambda c: bool(c.named("turn_finished")))
        state = await watch.until(chat.id, rests)
        events = types(await history(stack, chat.id))
    assert texts(state) == [counted(100)]
    assert events.count("run_acquired") == 2
    assert events.count("message_appended") == 2


class Flaky:
    """Models that are not found a few times, by a bug of ours."""

    def __init__(self) -> None:
        self._failures = 2
        self._models = OneModel.of(Scripted(rate=1e6))

    async def resolve(
        self,
        *,
        owner_id: UUID,
        model_config_id: UUID | None,
        purpose: Purpose = "turn",
    ) -> Model:
        if self._failures:
            self._failures -= 1
            raise ZeroDivisionError
        return await self._models.resolve(
            owner_id=owner_id, model_config_id=model_config_id, purpose=purpose
        )


async def test_a_bug_is_logged_and_the_step_tried_again(
    stack: Stack, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="service.agent"):
        async with hand(stack, models=Flaky()):
            chat = await ChatByHand.create(stack, "count 3")
            state = await watch.until(chat.id, rests)
    assert texts(state) == ["1 2 3"]
    failed = [r for r in caplog.records if r.name == "service.agent.runner"]
    assert [record.exc_info is not None for record in failed] == [True, True]


async def test_an_answer_that_cannot_be_stored_fails_the_turn(
    stack: Stack, watch: Watch
) -> None:
    unstorable: list[Delta | Exception] = [ReasoningDelta("a"), BlockEnd({"s": "\x00"})]
    provider = Speaks([*unstorable, used(10), Finish("stop")])
    async with hand(stack, provider=provider):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    assert state.last_error is not None
    assert state.last_error.message == "the model's answer cannot be stored"
    assert len(provider.requests) == 1
    # it was paid for all the same
    assert types(await history(stack, chat.id))[-2:] == [
        "usage_recorded",
        "turn_failed",
    ]


async def write_as_a_newer_release(stack: Stack, chat: ChatByHand) -> None:
    newer = NewEvent("hologram_projected", 1, {"at": "2036-01-01T00:00:00Z"})
    stream = StreamName("chat", chat.id)
    await stack.appender.append(
        AppendRequest((StreamAppend(stream, ANY, (newer,)),), str(uuid4()), b"hologram")
    )


async def leases(stack: Stack) -> int:
    async with stack.pool.connection() as connection:
        cursor = await connection.execute("SELECT count(*) FROM ops.leases")
        (row,) = await cursor.fetchall()
        return int(row[0])


async def test_a_worker_gives_way_to_a_newer_release(stack: Stack) -> None:
    provider = Gated()
    async with hand(stack, provider=provider) as only:
        chat = await ChatByHand.create(stack)
        await provider.asked.wait()
        await write_as_a_newer_release(stack, chat)
        assert await only.worker.signals.left.wait() == (chat.id, Outcome.NEWER)
        assert await leases(stack) == 0


async def test_a_waiting_chat_is_left_to_a_newer_release_too(stack: Stack) -> None:
    async with hand(stack, provider=Speaks(ASKING)) as only:
        chat = await chat_with_client(stack)
        assert await only.worker.signals.left.wait() == (chat.id, Outcome.WAITS)
        await write_as_a_newer_release(stack, chat)
        assert await only.worker.signals.left.wait() == (chat.id, Outcome.NEWER)
        assert only.worker.waiting == 0
        assert await leases(stack) == 0


class Away(Chats):
    """Its database does not answer while a test says so."""

    away = False

    async def load(self, chat_id: UUID) -> Loaded:
        if self.away:
            raise DatabaseAway("the test says so")
        return await super().load(chat_id)


async def test_a_waiting_chat_that_cannot_be_read_goes_on_waiting(
    stack: Stack, watch: Watch
) -> None:
    chats = Away(stack.pool, stack.appender, cache_bytes=1 << 20)
    async with hand(stack, provider=Speaks(ASKING, SO), chats=chats) as only:
        chat = await chat_with_client(stack)
        assert await only.worker.signals.left.wait() == (chat.id, Outcome.WAITS)
        chats.away = True
        await submit(stack, chat, c1="because")
        assert await only.worker.signals.left.wait() == (chat.id, Outcome.WAITS)
        assert only.worker.heartbeat.held == 1
        chats.away = False
        state = await watch.until(chat.id, rests)
        events = types(await history(stack, chat.id))
    assert texts(state)[-1] == "so"
    assert events.count("run_acquired") == 1


async def test_a_clock_that_jumps_changes_nothing(stack: Stack, watch: Watch) -> None:
    readings = iter(range(10_000))

    def jumping() -> datetime:
        return crew.now() + timedelta(days=(-1) ** next(readings) * 400)

    async with hand(stack, now=jumping):
        chat = await ChatByHand.create(stack, "what time is it?")
        state = await watch.until(chat.id, rests)
    assert [m.role for m in state.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert [m.id for m in state.messages] == sorted(m.id for m in state.messages)


async def test_a_rejection_is_no_way_to_lose_a_chat(stack: Stack, watch: Watch) -> None:
    """Many messages and interrupts at once: whatever is refused is looked at again."""
    async with hand(stack, rate=2000):
        chat = await ChatByHand.create(stack, "count 50")
        for _ in range(10):
            await asyncio.gather(
                chat.send("count 20", busy="interrupt"), chat.send("count 10")
            )
            await watch.until(chat.id, lambda s: len(s.queue) < 5)
        state = await watch.until(chat.id, lambda s: rests(s) and not s.queue)
    assert len(texts(state, "user")) == 21
    for said in texts(state):
        assert counted(50).startswith(said)
