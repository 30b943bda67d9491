"""Several workers, and workers that die: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.agent.runner import Outcome
from service.db.pool import Database
from service.domain.chat.state import Status
from service.domain.events.chat import MessageAppended, RunAbandoned, RunAcquired
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import PATIENCE_S, Stack
from tests.integration.agent.crew import (
    Gated,
    Watch,
    counted,
    hand,
    history,
    rests,
    texts,
    types,
)

LEASE_S = 1.0

AT_ONCE_S = 1.0
"""What is given back is taken before anything expires (leases here last 30 s)."""


async def test_of_two_workers_one_runs_each_chat(
    stack: Stack, watch: Watch, database: Database
) -> None:
    async with (
        Stack(database, stack.guard) as other,
        hand(stack, "w1", poll_interval_s=0.05),
        hand(other, "w2", poll_interval_s=0.05),
    ):
        chats = await asyncio.gather(
            *(ChatByHand.create(stack, "what time is it?") for _ in range(40))
        )
        for chat in chats:
            await watch.until(chat.id, rests)
        for chat in chats:
            await chat.send("count 5")
        for chat in chats:
            await watch.until(
                chat.id, lambda s: rests(s) and texts(s)[-1] == "1 2 3 4 5"
            )
    ran = Counter[str]()
    for chat in chats:
        events = await history(stack, chat.id)
        acquired = [event for event in events if isinstance(event, RunAcquired)]
        ran.update(event.worker for event in acquired)
        assert [event.term for event in acquired] == [1, 2]
        assert types(events).count("generation_attempt_started") == 4
        said = [e.role for e in events if isinstance(e, MessageAppended)]
        assert said == ["user", "assistant", "tool", "assistant", "user", "assistant"]
    assert set(ran) == {"w1", "w2"}, "both worked"


async def test_a_dead_workers_chat_is_taken_when_its_lease_runs_out(
    stack: Stack, watch: Watch
) -> None:
    async with hand(stack, "dead", rate=50, lease_s=LEASE_S) as dead:
        chat = await ChatByHand.create(stack, "count 60")
        await dead.worker.signals.acquired.wait()
        async with stack.follow(chat.id, after="0") as client:
            await client.until(lambda c: len(c.named("message_part")) >= 5)
            await dead.die()
            died_at = asyncio.get_running_loop().time()
            # a poll far too slow: it is the lease that wakes the other one
            async with hand(
                stack, "alive", rate=1e6, lease_s=LEASE_S, poll_interval_s=30.0
            ) as alive:
                await alive.worker.signals.acquired.wait()
                took = asyncio.get_running_loop().time() - died_at
                state = await watch.until(chat.id, rests)
            await client.until(lambda c: bool(c.named("turn_finished")))
    assert took < LEASE_S + 0.5
    assert texts(state) == [counted(60)]
    assert len(client.named("preview_reset")) == 1


WORKER = "tests.integration.agent.mortal"


@asynccontextmanager
async def mortal(
    database: Database, *, lease_s: float
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        WORKER,
        database.dsn,
        database.role_prefix,
        str(lease_s),
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_kill_9_in_the_middle_of_a_message(
    stack: Stack, watch: Watch, database: Database
) -> None:
    async with mortal(database, lease_s=LEASE_S) as process:
        chat = await ChatByHand.create(stack, "count 200")
        async with stack.follow(chat.id, after="0") as client:
            await client.until(lambda c: len(c.named("message_part")) >= 5)
            process.kill()
            await process.wait()
            died_at = asyncio.get_running_loop().time()
            async with hand(stack, "alive", lease_s=LEASE_S) as alive:
                await alive.worker.signals.acquired.wait()
                took = asyncio.get_running_loop().time() - died_at
                state = await watch.until(chat.id, rests)
            await client.until(lambda c: bool(c.named("turn_finished")))
    assert took < LEASE_S + 0.5
    assert texts(state) == [counted(200)]
    assert len(state.messages) == 2
    assert [event.type for event in await history(stack, chat.id)] == [
        "chat_created",
        "message_appended",
        *["run_acquired", "generation_attempt_started"] * 2,
        "message_appended",
        "step_committed",
        "turn_finished",
    ]


async def test_a_worker_that_was_asleep_appends_nothing_when_it_wakes_up(
    stack: Stack, watch: Watch, database: Database
) -> None:
    """Stopped in the middle of a message, continued when another has finished it."""
    async with mortal(database, lease_s=LEASE_S) as process:
        chat = await ChatByHand.create(stack, "count 100")
        async with stack.follow(chat.id, after="0") as client:
            await client.until(lambda c: len(c.named("message_part")) >= 5)
        process.send_signal(signal.SIGSTOP)
        async with hand(stack, "awake", lease_s=LEASE_S):
            await watch.until(chat.id, rests)
        rested = types(await history(stack, chat.id))
        process.send_signal(signal.SIGCONT)
        # it works again, on something else, so it has seen what it lost
        other = await ChatByHand.create(stack, "count 3")
        await watch.until(other.id, rests)
    assert types(await history(stack, chat.id)) == rested
    assert texts(await chat.state()) == [counted(100)]


async def test_a_worker_that_lost_its_lease_drops_its_work(
    stack: Stack, watch: Watch
) -> None:
    provider = Gated()
    async with hand(stack, "w1", provider=provider, heartbeat_interval_s=0.2) as first:
        chat = await ChatByHand.create(stack)
        await provider.asked.wait()
        # somebody breaks the lease and takes the chat
        async with stack.pool.connection() as connection:
            await connection.execute("UPDATE ops.leases SET worker = 'w2', term = 2")
        await ChatByHand.acquire(chat)
        assert await first.worker.signals.left.wait() == (chat.id, Outcome.LOST)
        provider.gate.set()
        state = await chat.state()
    assert state.term == 2
    assert state.holder is not None
    assert state.holder.worker == "by-hand"
    assert texts(state) == []


async def test_a_chat_whose_leases_are_lost_without_a_thief_is_taken_again(
    stack: Stack, watch: Watch
) -> None:
    """What a crash of Postgres does: the table is empty."""
    provider = Gated()
    async with hand(stack, provider=provider, heartbeat_interval_s=0.1) as only:
        chat = await ChatByHand.create(stack)
        await provider.asked.wait()
        provider.asked.clear()
        async with stack.pool.connection() as connection:
            await connection.execute("DELETE FROM ops.leases")
        assert await only.worker.signals.lost.wait() == chat.id
        await provider.asked.wait()
        provider.gate.set()
        state = await watch.until(chat.id, rests)
    assert state.term == 2
    assert texts(state) == ["well then"]


async def test_a_stopping_worker_lets_the_step_end_and_gives_the_rest_back(
    stack: Stack, watch: Watch
) -> None:
    async with hand(stack, "w2", poll_interval_s=30.0, slots=1) as second:
        blocker = await ChatByHand.create(stack, "count 1")
        await watch.until(blocker.id, rests)
        await second.worker.stop()
        provider = Gated()
        async with hand(stack, "w1", provider=provider) as first:
            chat = await ChatByHand.create(stack, "what time is it?")
            await provider.asked.wait()
            stopping = asyncio.create_task(first.worker.stop())
            await asyncio.sleep(0)
            assert not stopping.done()
            provider.gate.set()
            await stopping
            state = await chat.state()
    # the answer was whole, so the turn could end as well
    assert state.status is Status.WAITING
    assert texts(state) == ["well then"]


async def test_a_turn_that_is_too_slow_for_the_grace_is_given_back_at_once(
    stack: Stack, watch: Watch
) -> None:
    provider = Gated()
    async with hand(stack, "w1", provider=provider, shutdown_grace_s=0.1) as first:
        chat = await ChatByHand.create(stack)
        await provider.asked.wait()
        async with hand(stack, "w2", poll_interval_s=30.0) as second:
            stopped_at = asyncio.get_running_loop().time()
            await first.worker.stop()
            assert (await first.worker.signals.left.wait()) == (
                chat.id,
                Outcome.STOPPED,
            )
            await second.worker.signals.acquired.wait(timeout=AT_ONCE_S)
            took = asyncio.get_running_loop().time() - stopped_at
            await watch.until(chat.id, rests)
    assert took < AT_ONCE_S
    events = await history(stack, chat.id)
    assert [e.worker for e in events if isinstance(e, RunAbandoned)] == ["w1"]
    assert [e.worker for e in events if isinstance(e, RunAcquired)] == ["w1", "w2"]


async def test_between_two_steps_a_stopping_worker_gives_the_chat_back(
    stack: Stack, watch: Watch
) -> None:
    async with hand(stack, "w1", rate=200) as first:
        chat = await ChatByHand.create(stack, "what time is it?")
        async with stack.follow(chat.id, after="0") as client:
            await client.until(lambda c: len(c.named("message_part")) >= 2)
        await first.worker.stop()
    events = types(await history(stack, chat.id))
    assert events[-2:] == ["step_committed", "run_abandoned"]
    async with hand(stack, "w2"):
        state = await watch.until(chat.id, rests)
    assert [m.role for m in state.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]


async def test_a_stopping_worker_takes_nothing_new(stack: Stack) -> None:
    async with hand(stack) as only:
        await only.worker.stop()
        told = asyncio.Event()
        stack.tail.subscribe(lambda _: told.set())
        chat = await ChatByHand.create(stack, "count 1")
        async with asyncio.timeout(PATIENCE_S):
            await told.wait()
        assert only.worker.running == 0
        assert (await chat.state()).holder is None


@pytest.mark.parametrize("slots", [1, 3])
async def test_a_worker_runs_no_more_chats_than_it_has_slots(
    stack: Stack, watch: Watch, slots: int
) -> None:
    provider = Gated()
    async with hand(stack, provider=provider, slots=slots) as only:
        chats = [await ChatByHand.create(stack) for _ in range(5)]
        for _ in range(slots):
            await only.worker.signals.acquired.wait()
        assert only.worker.running == slots
        provider.gate.set()
        for chat in chats:
            await watch.until(chat.id, rests)
