"""Workers that share what is to be done, and one that is too late."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

from service.agent.runner import Outcome
from service.db.pool import Connection, Database
from service.domain.commands.chat import CommitStep
from service.domain.events.chat import RunAcquired
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Stack
from tests.integration.agent.clients import ASKING, SO, chat_with_client
from tests.integration.agent.crew import (
    Gated,
    Halting,
    Hand,
    InTurn,
    Speaks,
    Watch,
    hand,
    history,
    rests,
    texts,
    types,
)

CHATS = 60


@asynccontextmanager
async def fleet(
    database: Database, stack: Stack, size: int, **how: Any
) -> AsyncIterator[list[Hand]]:
    """Workers with a process's parts each, that have met."""
    async with AsyncExitStack() as opened:
        hands = []
        for number in range(1, size + 1):
            own = await opened.enter_async_context(Stack(database, stack.guard))
            worker = hand(own, f"w{number}", poll_interval_s=0.2, **how)
            hands.append(await opened.enter_async_context(worker))
        yield hands


async def acquirers(stack: Stack, chats: Sequence[ChatByHand]) -> Counter[str]:
    counted = Counter[str]()
    for chat in chats:
        for event in await history(stack, chat.id):
            if isinstance(event, RunAcquired):
                counted[event.worker] += 1
    return counted


async def settled(watch: Watch, chats: Sequence[ChatByHand]) -> None:
    for chat in chats:
        await watch.until(chat.id, rests)


async def test_three_workers_share_and_seldom_ask_for_the_same_chat(
    stack: Stack, watch: Watch, database: Database
) -> None:
    async with fleet(database, stack, 3, rate=20.0) as hands:
        # while the first ones run, all workers come to hold leases and meet
        first = [await ChatByHand.create(stack, "count 100") for _ in range(12)]
        for one in hands:
            await one.worker.signals.acquired.wait()
        asked = sum(one.leases.asked for one in hands)
        chats = []
        for _ in range(CHATS):
            chats.append(await ChatByHand.create(stack, "count 2"))
        await settled(watch, chats)
        asked = sum(one.leases.asked for one in hands) - asked
        await settled(watch, first)
    ran = await acquirers(stack, chats)
    assert sum(ran.values()) == CHATS, "each was run once"
    assert set(ran) == {"w1", "w2", "w3"}
    assert min(ran.values()) >= CHATS / 10
    print(f"asked for leases: {asked / CHATS:.2f} times a chat")  # noqa: T201
    assert asked < 2 * CHATS, "three that do not take turns ask three times"


async def test_a_full_worker_leaves_chats_to_the_others(
    stack: Stack, watch: Watch, database: Database
) -> None:
    full, roomy = Gated(), Speaks(SO)
    async with (
        Stack(database, stack.guard) as other,
        hand(stack, "full", provider=full, slots=1) as one,
    ):
        blocker = await ChatByHand.create(stack)
        await full.asked.wait()
        asked = one.leases.asked
        async with hand(other, "roomy", provider=roomy):
            chats = [await ChatByHand.create(stack) for _ in range(20)]
            await settled(watch, chats)
        assert one.leases.asked == asked, "it asked for nothing it has no room for"
        assert await acquirers(stack, chats) == {"roomy": 20}
        full.gate.set()
        await settled(watch, [blocker])


async def test_with_one_slot_the_oldest_chat_is_next(
    stack: Stack, watch: Watch
) -> None:
    blocker, speaks = Gated(), Speaks(SO)
    async with hand(stack, provider=InTurn(blocker, speaks), slots=1):
        first = await ChatByHand.create(stack)
        await blocker.asked.wait()
        chats = [await ChatByHand.create(stack, str(n)) for n in range(5)]
        blocker.gate.set()
        await settled(watch, [first, *chats])
    asked = [texts_of(request.messages) for request in speaks.requests]
    assert asked == [["0"], ["1"], ["2"], ["3"], ["4"]]


def texts_of(messages: Any) -> list[str]:
    return [part.text for message in messages for part in message.parts]


async def test_a_thief_fences_the_worker_that_was_stopped(
    stack: Stack, watch: Watch, database: Database
) -> None:
    """Stopped before its commit; it never learns that its lease ran out meanwhile."""
    halting = Halting(stack, CommitStep)
    async with (
        Stack(database, stack.guard) as other,
        hand(
            stack,
            "old",
            provider=Speaks(SO),
            chats=halting,
            heartbeat_interval_s=1000.0,
            lease_s=3000.0,
        ) as old,
    ):
        chat = await ChatByHand.create(stack)
        await halting.halted.wait()
        async with stack.pool.connection() as connection:
            await connection.execute(
                "UPDATE ops.leases SET heartbeat_at = heartbeat_at - interval '1 day'"
            )
        async with hand(other, "new", provider=Speaks(SO)):
            state = await watch.until(chat.id, rests)
            rested = types(await history(stack, chat.id))
            halting.go_on.set()
            assert await old.worker.signals.left.wait() == (chat.id, Outcome.LOST)
    assert texts(state) == ["so"]
    assert types(await history(stack, chat.id)) == rested
    assert rested.count("step_committed") == 1
    assert rested.count("run_acquired") == 2


async def test_one_statement_renews_what_runs_and_what_waits(
    stack: Stack, watch: Watch
) -> None:
    gated = Gated()
    provider = InTurn(*[Speaks(ASKING)] * 20, gated)
    async with hand(stack, provider=provider, slots=2) as only:
        waiting = [await chat_with_client(stack) for _ in range(20)]
        for _ in waiting:
            await only.worker.signals.left.wait()
        await ChatByHand.create(stack)
        await gated.asked.wait()
        assert (only.worker.running, only.worker.waiting) == (1, 20)
        async with stack.pool.connection() as connection:
            before = await _renewed(connection)
            await only.worker.heartbeat.beat()
            renewed = await _renewed(connection)
        assert only.worker.heartbeat.held == 21
        assert len(renewed) == 21
        assert set(renewed).isdisjoint(before)
        assert len(set(renewed.values())) == 1, "one transaction"
        gated.gate.set()


async def _renewed(connection: Connection) -> dict[tuple[UUID, str], str]:
    """The transaction that wrote each lease, by chat and version of the row."""
    cursor = await connection.execute(
        "SELECT chat_id, xmin::text, heartbeat_at::text FROM ops.leases"
    )
    return {(row[0], row[2]): row[1] for row in await cursor.fetchall()}
