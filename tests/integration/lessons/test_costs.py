"""What runs costs little: one heartbeat for all chats, few reads of histories."""

from __future__ import annotations

import asyncio

from service.db.guard import Guard
from service.db.pool import Database
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import PATIENCE_S, Stack
from tests.integration.agent.crew import Gated, Watch, hand, rests, texts

CHATS = 30
BEATS = 10
LOOK = "leases"
NEVER_S = 60.0


async def test_a_heartbeat_is_one_statement_for_all_chats_of_a_worker(
    database: Database, guard: Guard
) -> None:
    own = Database(database.dsn, role_prefix=database.role_prefix)
    gated = Gated()
    async with (
        Stack(own, guard) as stack,
        hand(
            stack,
            provider=gated,
            poll_interval_s=NEVER_S,
            heartbeat_interval_s=0.1,
        ) as only,
    ):
        chats = [await ChatByHand.create(stack) for _ in range(CHATS)]
        beat, worker = only.worker.signals.beat, only.worker
        async with asyncio.timeout(PATIENCE_S):
            while worker.heartbeat.held < CHATS or len(gated.requests) < CHATS:
                await beat.wait()
            before = own.statements[LOOK], worker.heartbeat.heartbeats
            for _ in range(BEATS):
                assert await beat.wait() == CHATS
            spent = own.statements[LOOK] - before[0]
            beats = worker.heartbeat.heartbeats - before[1]
        # one may be under way at either end
        assert abs(spent - beats) <= 1 < beats
        gated.gate.set()
        watch = Watch(stack)
        for chat in chats:
            await watch.until(chat.id, rests)


async def test_a_turn_reads_histories_three_times_at_most(
    database: Database, guard: Guard
) -> None:
    """The whole of it, in two processes: create, two steps with a tool, the end."""
    async with (
        Stack(database, guard) as api,
        Stack(database, guard) as other,
        hand(other),
    ):
        watch = Watch(api)
        reads = api.chats.history_reads + other.chats.history_reads
        chat = await ChatByHand.create(api, "what time is it?")
        async with api.follow(chat.id, after="0") as client:
            await client.until(lambda c: bool(c.named("turn_finished")))
        reads = api.chats.history_reads + other.chats.history_reads - reads
        state = await watch.until(chat.id, rests)
    assert len(texts(state)) == 2
    assert 1 <= reads <= 3, reads
