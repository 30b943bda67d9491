"""Tools that the chat's client runs: asked for, waited for, answered for at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import pytest
from pydantic import JsonValue

from service.agent.runner import Outcome
from service.db.pool import Database
from service.domain.chat.state import Status
from service.domain.events.chat import ActionRequired, RunAcquired, ToolCallsCancelled
from service.providers.provider import Finish, TextDelta, ToolCall, ToolSpec
from service.tools.registry import Tool
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Stack
from tests.integration.agent.clients import (
    ASK,
    ASKING,
    SO,
    asks,
    chat_with_client,
    results,
    submit,
)
from tests.integration.agent.crew import (
    Gated,
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

SHORT = timedelta(milliseconds=50)
LEASE_S = 1.0


async def parked(hand: Hand, chat: ChatByHand) -> None:
    """The chat has left its slot, still held."""
    left = await hand.worker.signals.left.wait(lambda fired: fired[0] == chat.id)
    assert left == (chat.id, Outcome.WAITS)


async def test_the_clients_tools_are_offered_after_the_workers(
    stack: Stack, watch: Watch
) -> None:
    provider = Speaks(SO)
    async with hand(stack, provider=provider):
        chat = await chat_with_client(stack)
        await watch.until(chat.id, rests)
    (request,) = provider.requests
    assert [tool.name for tool in request.tools] == ["clock", "ask_person"]
    assert request.tools[1] == ToolSpec(ASK.name, ASK.description, ASK.input_schema)


async def test_results_go_on_with_the_turn_on_the_same_worker(
    stack: Stack, watch: Watch
) -> None:
    provider = Speaks(ASKING, SO)
    async with hand(stack, provider=provider) as only:
        chat = await chat_with_client(stack)
        await parked(only, chat)
        assert (only.worker.running, only.worker.waiting) == (0, 1)
        state = await chat.state()
        assert state.action is not None
        assert [call.tool_call_id for call in state.action.calls] == ["c1"]
        await submit(stack, chat, c1="because")
        state = await watch.until(chat.id, rests)
        await only.worker.signals.left.wait()
        assert (only.worker.running, only.worker.waiting) == (0, 0)
    assert results(state) == [("c1", "because", False)]
    assert texts(state)[-1] == "so"
    assert state.status is Status.WAITING
    events = types(await history(stack, chat.id))
    assert events.count("run_acquired") == 1, "it was held all the time"
    assert events.count("run_abandoned") == 0


async def test_mixed_calls_run_the_workers_first_then_ask_the_client(
    stack: Stack, watch: Watch
) -> None:
    ran = asyncio.Event()

    async def run(_: Mapping[str, JsonValue]) -> JsonValue:
        ran.set()
        return "ours"

    tools = [Tool(ToolSpec("ours", "A tool of this test.", {}), run)]
    provider = Speaks(
        [
            ToolCall("c1", "ask_person", {}),
            ToolCall("c2", "ours", {}),
            ToolCall("c3", "ask_person", {}),
            Finish("tool_calls"),
        ],
        SO,
    )
    async with hand(stack, provider=provider, tools=tools):
        chat = await chat_with_client(stack)
        state = await watch.until(chat.id, asks)
        assert ran.is_set()
        assert results(state) == [("c2", "ours", False)]
        assert state.action is not None
        assert [call.tool_call_id for call in state.action.calls] == ["c1", "c3"]
        assert len(provider.requests) == 1
        await submit(stack, chat, c1=1, c3=3)
        state = await watch.until(chat.id, rests)
    assert results(state) == [
        ("c2", "ours", False),
        ("c1", 1, False),
        ("c3", 3, False),
    ]
    assert len(provider.requests) == 2


async def test_a_client_has_five_minutes(stack: Stack, watch: Watch) -> None:
    async with hand(stack, provider=Speaks(ASKING)):
        chat = await chat_with_client(stack)
        await watch.until(chat.id, asks)
    (asked,) = [
        event
        for event in await history(stack, chat.id)
        if isinstance(event, ActionRequired)
    ]
    assert asked.deadline - asked.at == timedelta(minutes=5)


async def test_a_client_that_is_silent_is_answered_for_and_the_turn_goes_on(
    stack: Stack, watch: Watch
) -> None:
    provider = Speaks(ASKING, SO)
    async with hand(stack, provider=provider, client_time=SHORT):
        chat = await chat_with_client(stack)
        state = await watch.until(chat.id, rests)
    assert results(state) == [("c1", "timed out", True)]
    assert texts(state)[-1] == "so"
    assert state.status is Status.WAITING
    cancelled = [
        event
        for event in await history(stack, chat.id)
        if isinstance(event, ToolCallsCancelled)
    ]
    assert [(c.reason, c.actor) for c in cancelled] == [("timed out", None)]


async def test_an_interrupt_cancels_the_calls_and_the_model_goes_on(
    stack: Stack, watch: Watch
) -> None:
    async with hand(stack, provider=Speaks(ASKING, SO)) as only:
        chat = await chat_with_client(stack)
        await parked(only, chat)
        await chat.interrupt()
        state = await watch.until(chat.id, rests)
    assert results(state) == [("c1", "interrupted by user", True)]
    assert texts(state)[-1] == "so"


async def test_a_message_that_interrupts_is_answered_after_the_cancelled_calls(
    stack: Stack, watch: Watch
) -> None:
    """Its append ends in the message that waits, not in what woke the turn."""
    async with hand(stack, provider=Speaks(ASKING, SO)) as only:
        chat = await chat_with_client(stack)
        await parked(only, chat)
        await chat.send("never mind", busy="interrupt")
        state = await watch.until(chat.id, lambda s: rests(s) and not s.queue)
    assert results(state) == [("c1", "interrupted by user message", True)]
    assert texts(state, "user") == ["hello", "never mind"]
    assert texts(state)[-2:] == ["so", "so"]


async def test_news_that_change_nothing_leave_the_chat_waiting(
    stack: Stack, watch: Watch
) -> None:
    async with hand(stack, provider=Speaks(ASKING, SO)) as only:
        chat = await chat_with_client(stack)
        await parked(only, chat)
        await chat.send("later")
        await parked(only, chat)
        assert only.worker.waiting == 1
        await submit(stack, chat, c1="because")
        state = await watch.until(chat.id, lambda s: rests(s) and not s.queue)
    assert results(state) == [("c1", "because", False)]
    assert texts(state)[-2:] == ["so", "so"]


@pytest.mark.parametrize("told", [True, False], ids=["rung", "deaf"])
async def test_another_worker_keeps_a_dead_ones_deadline(
    stack: Stack, watch: Watch, database: Database, told: bool
) -> None:
    patience = timedelta(seconds=2 * LEASE_S)
    async with (
        Stack(database, stack.guard, deaf=not told) as other,
        hand(
            stack,
            "dead",
            provider=Speaks(ASKING),
            lease_s=LEASE_S,
            client_time=patience,
        ) as dead,
    ):
        chat = await chat_with_client(stack)
        await parked(dead, chat)
        await dead.die()
        async with hand(other, "alive", provider=Speaks(SO), lease_s=LEASE_S) as alive:
            await parked(alive, chat)
            assert asks(await chat.state()), "taken over before its time was up"
            state = await watch.until(chat.id, rests)
    assert results(state) == [("c1", "timed out", True)]
    assert texts(state)[-1] == "so"
    events = await history(stack, chat.id)
    (asked,) = [e for e in events if isinstance(e, ActionRequired)]
    (cut,) = [e for e in events if isinstance(e, ToolCallsCancelled)]
    assert cut.at >= asked.deadline
    assert [e.worker for e in events if isinstance(e, RunAcquired)] == ["dead", "alive"]


async def test_a_client_may_answer_while_nobody_holds_the_chat(
    stack: Stack, watch: Watch
) -> None:
    async with hand(stack, "first", provider=Speaks(ASKING)) as first:
        chat = await chat_with_client(stack)
        await parked(first, chat)
    await submit(stack, chat, c1="because")
    async with hand(stack, "second", provider=Speaks(SO)):
        state = await watch.until(chat.id, rests)
    assert results(state) == [("c1", "because", False)]


async def test_a_stopping_worker_gives_back_what_waits(
    stack: Stack, watch: Watch, database: Database
) -> None:
    """At once: the other one hears of it, and its poll is far too slow."""
    async with (
        Stack(database, stack.guard) as other,
        hand(stack, "first", provider=Speaks(ASKING)) as first,
    ):
        chats = [await chat_with_client(stack) for _ in range(3)]
        for chat in chats:
            await watch.until(chat.id, asks)
        async with asyncio.timeout(10):
            while first.worker.waiting < len(chats):
                await first.worker.signals.left.wait()
        async with hand(
            other, "second", provider=Speaks(SO), poll_interval_s=60.0
        ) as second:
            await first.worker.stop()
            for _ in chats:
                await second.worker.signals.left.wait(
                    lambda fired: fired[1] is Outcome.WAITS, timeout=2.0
                )
            assert (first.worker.waiting, second.worker.waiting) == (0, len(chats))
            assert second.worker.heartbeat.held == len(chats)


async def test_what_waits_takes_no_slot(stack: Stack, watch: Watch) -> None:
    """Forty chats wait for clients at a worker with one slot; others run by it."""
    provider = Speaks(*[ASKING] * 40, SO)
    async with hand(stack, provider=provider, slots=1) as only:
        waiting = [await chat_with_client(stack) for _ in range(40)]
        for chat in waiting:
            await watch.until(chat.id, asks)
        other = await ChatByHand.create(stack)
        state = await watch.until(other.id, rests)
        assert texts(state) == ["so"]
        await asyncio.gather(*(submit(stack, chat, c1=1) for chat in waiting))
        for chat in waiting:
            state = await watch.until(chat.id, rests)
            assert texts(state)[-1] == "so"
        assert only.worker.waiting == 0


async def test_a_full_worker_holds_what_waits_and_gives_back_what_goes_on(
    stack: Stack, watch: Watch, database: Database
) -> None:
    """Results came, its own slots are taken: a worker with room goes on."""
    gated = Gated()
    async with (
        Stack(database, stack.guard) as other,
        hand(stack, "full", provider=InTurn(Speaks(ASKING), gated), slots=1) as full,
    ):
        chat = await chat_with_client(stack)
        await parked(full, chat)
        blocker = await ChatByHand.create(stack)
        await gated.asked.wait()
        async with hand(
            other, "roomy", provider=Speaks(SO), poll_interval_s=60.0
        ) as roomy:
            await submit(stack, chat, c1="because")
            state = await watch.until(chat.id, rests)
            assert await roomy.worker.signals.left.wait() == (chat.id, Outcome.RESTS)
        gated.gate.set()
        await watch.until(blocker.id, rests)
    assert results(state) == [("c1", "because", False)]
    events = types(await history(stack, chat.id))
    assert events.count("run_abandoned") == 1


async def test_a_waiting_chat_whose_lease_is_lost_is_taken_again(
    stack: Stack, watch: Watch
) -> None:
    async with hand(stack, provider=Speaks(ASKING), heartbeat_interval_s=0.1) as only:
        chat = await chat_with_client(stack)
        await parked(only, chat)
        async with stack.pool.connection() as connection:
            await connection.execute("DELETE FROM ops.leases")
        assert await only.worker.signals.lost.wait() == chat.id
        await parked(only, chat)
        assert (await chat.state()).term == 2
        assert only.worker.waiting == 1


async def test_a_tool_that_has_become_the_workers_own_is_still_the_clients(
    stack: Stack, watch: Watch
) -> None:
    """A newer release may have a tool of a name that a chat's client has."""

    async def never(_: Mapping[str, JsonValue]) -> JsonValue:
        raise AssertionError

    tools = [Tool(ToolSpec("ask_person", "The worker's.", {}), never)]
    provider = Speaks(ASKING, [TextDelta("so"), Finish("stop")])
    async with hand(stack, provider=provider, tools=tools):
        chat = await chat_with_client(stack)
        await watch.until(chat.id, asks)
    assert [tool.name for tool in provider.requests[0].tools] == ["clock", "ask_person"]
    assert provider.requests[0].tools[1].description == ASK.description
