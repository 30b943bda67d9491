"""Stopping a running turn: soon, with what had been said, whoever finishes it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from pydantic import JsonValue

from service.db.pool import Database
from service.domain.chat.state import ChatState, Status
from service.domain.commands.chat import CommitStep, FinishInterruption
from service.domain.events.chat import InterruptionFinished
from service.domain.parts import ToolResultPart
from service.providers.provider import (
    Delta,
    Finish,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolInputDelta,
    ToolInputStart,
    ToolSpec,
)
from service.tools.registry import Tool
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Stack
from tests.integration.agent.clients import SO, results
from tests.integration.agent.crew import (
    Gated,
    Halting,
    Hangs,
    InTurn,
    Speaks,
    Watch,
    counted,
    hand,
    history,
    rests,
    texts,
    types,
)

SOON_S = 1.0


def interrupting(state: ChatState) -> bool:
    return state.status is Status.INTERRUPTING


async def begun(stack: Stack, chat: ChatByHand, parts: int) -> str:
    """Wait until a follower has seen so many parts; gives what they say."""
    async with stack.follow(chat.id, after="0") as client:
        await client.until(lambda c: len(c.named("message_part")) >= parts)
    return "".join(f.data["part"]["text"] for f in client.named("message_part"))


async def test_an_interrupt_ends_the_turn_soon_and_keeps_what_was_said(
    stack: Stack, watch: Watch
) -> None:
    async with hand(stack, rate=50):
        chat = await ChatByHand.create(stack, "count 5000")
        seen = await begun(stack, chat, 10)
        asked_at = asyncio.get_running_loop().time()
        await chat.interrupt()
        state = await watch.until(chat.id, rests, timeout=SOON_S)
        took = asyncio.get_running_loop().time() - asked_at
    assert took < SOON_S
    (kept,) = texts(state)
    assert kept.startswith(seen)
    assert counted(5000).startswith(kept)
    events = await history(stack, chat.id)
    assert types(events)[-3:] == [
        "interrupt_requested",
        "message_appended",
        "interruption_finished",
    ]
    finished = events[-1]
    assert isinstance(finished, InterruptionFinished)
    assert (finished.epoch, finished.attempt) == (2, 1)


async def test_what_was_said_last_is_kept_too(stack: Stack, watch: Watch) -> None:
    """The worker drains its own parts before it reads them."""
    provider = Gated()
    async with hand(stack, provider=provider):
        chat = await ChatByHand.create(stack)
        await provider.asked.wait()
        await chat.interrupt()
        state = await watch.until(chat.id, rests)
    assert texts(state) == ["well"]


async def test_a_message_that_interrupts_is_answered_next(
    stack: Stack, watch: Watch
) -> None:
    async with hand(stack, rate=50):
        chat = await ChatByHand.create(stack, "count 5000")
        await begun(stack, chat, 3)
        await chat.send("count 3", busy="interrupt")
        state = await watch.until(chat.id, rests)
    cut, answer = texts(state)
    assert counted(5000).startswith(cut)
    assert answer == "1 2 3"
    assert types(await history(stack, chat.id)).count("run_acquired") == 1


async def test_finished_results_of_a_cut_batch_are_kept(
    stack: Stack, watch: Watch
) -> None:
    ran, never = asyncio.Event(), asyncio.Event()

    async def quick(_: Mapping[str, JsonValue]) -> JsonValue:
        ran.set()
        return "done"

    async def slow(_: Mapping[str, JsonValue]) -> JsonValue:
        await never.wait()
        return "never"

    tools = [
        Tool(ToolSpec("slow", "Waits.", {}), slow),
        Tool(ToolSpec("quick", "Does not.", {}), quick),
    ]
    provider = Speaks(
        [ToolCall("c1", "slow", {}), ToolCall("c2", "quick", {}), Finish("tool_calls")],
        [TextDelta("so"), Finish("stop")],
    )
    async with hand(stack, provider=provider, tools=tools):
        chat = await ChatByHand.create(stack)
        await ran.wait()
        await chat.interrupt()
        state = await watch.until(chat.id, rests)
    results = {
        part.tool_call_id: (part.result, part.is_error)
        for message in state.messages
        for part in message.parts
        if isinstance(part, ToolResultPart)
    }
    assert results["c2"] == ("done", False)
    assert results["c1"][1]
    assert len(results) == 2
    assert len(provider.requests) == 1


async def test_an_interrupted_turn_whose_worker_died_is_finished_by_another(
    stack: Stack, watch: Watch
) -> None:
    """With what the dead one had said: live parts outlive their worker."""
    async with hand(stack, "dead", rate=50, lease_s=1.0) as dead:
        chat = await ChatByHand.create(stack, "count 5000")
        seen = await begun(stack, chat, 5)
        await dead.die()
        await chat.interrupt()
        assert interrupting(await chat.state())
        async with hand(stack, "alive", lease_s=1.0):
            state = await watch.until(chat.id, rests, timeout=5.0)
    (kept,) = texts(state)
    assert kept.startswith(seen)
    assert counted(5000).startswith(kept)
    assert types(await history(stack, chat.id)).count("run_acquired") == 2


async def test_an_interrupt_before_anything_was_said_keeps_nothing(
    stack: Stack, watch: Watch
) -> None:
    chat = await ChatByHand.create(stack)
    await chat.interrupt()
    async with hand(stack):
        state = await watch.until(chat.id, rests)
    assert len(state.messages) == 1
    assert types(await history(stack, chat.id))[-1] == "interruption_finished"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ([], []),
        ([TextDelta("well")], ["well"]),
        ([ReasoningDelta("hm"), TextDelta("well")], ["well"]),
        ([ToolInputStart("c1", "clock"), ToolInputDelta("c1", "clock", '{"tim')], []),
    ],
    ids=["no-token", "text", "reasoning", "half-a-call"],
)
async def test_a_model_that_hangs_is_cut_off_from_another_replica(
    stack: Stack, watch: Watch, database: Database, said: list[Delta], kept: list[str]
) -> None:
    """What waits in the queue goes on as the next turn."""
    provider = Hangs(*said)
    async with (
        Stack(database, stack.guard) as elsewhere,
        hand(stack, provider=InTurn(provider, Speaks(SO))),
    ):
        chat = await ChatByHand.create(stack)
        await provider.asked.wait()
        chat.move(elsewhere)
        await chat.send("next")
        async with asyncio.timeout(SOON_S):
            await chat.interrupt()
            await provider.closed.wait()
            state = await watch.until(chat.id, lambda s: s.turn_id != 2)
        assert [item.id for item in state.queue] == []
        state = await watch.until(chat.id, rests)
    assert texts(state) == [*kept, "so"]
    assert texts(state, "user") == ["hello", "next"]
    events = types(await history(stack, chat.id))
    assert events.count("run_acquired") == 1
    assert events.count("interruption_finished") == 1


async def test_a_tool_that_hangs_is_cancelled(
    stack: Stack, watch: Watch, database: Database
) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(_: Mapping[str, JsonValue]) -> JsonValue:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return None

    tools = [Tool(ToolSpec("hang", "Hangs.", {}), hang)]
    provider = Speaks([ToolCall("c1", "hang", {}), Finish("tool_calls")])
    async with (
        Stack(database, stack.guard) as elsewhere,
        hand(stack, provider=provider, tools=tools),
    ):
        chat = await ChatByHand.create(stack)
        await begun.wait()
        chat.move(elsewhere)
        async with asyncio.timeout(SOON_S):
            await chat.interrupt()
            await cancelled.wait()
            state = await watch.until(chat.id, rests)
    assert [(call, error) for call, _, error in results(state)] == [("c1", True)]
    assert len(provider.requests) == 1


async def test_what_does_not_let_itself_be_cancelled_holds_up_nobody(
    stack: Stack, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    """A tool that catches its cancellation goes on for itself; its result is lost."""
    begun, let_go, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stubborn(_: Mapping[str, JsonValue]) -> JsonValue:
        begun.set()
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        ended.set()
        return "too late"

    tools = [Tool(ToolSpec("stubborn", "Does as it likes.", {}), stubborn)]
    provider = Speaks([ToolCall("c1", "stubborn", {}), Finish("tool_calls")], SO)
    async with hand(stack, provider=provider, tools=tools):
        chat = await ChatByHand.create(stack)
        await begun.wait()
        await chat.interrupt()
        await watch.until(chat.id, rests, timeout=SOON_S)
        let_go.set()
        await ended.wait()
        await chat.send("next")
        state = await watch.until(chat.id, lambda s: rests(s) and not s.queue)
    assert [(call, error) for call, _, error in results(state)] == [("c1", True)]
    assert texts(state)[-1] == "so"
    assert "it was cancelled" in caplog.text


async def test_a_worker_that_dies_while_it_interrupts(
    stack: Stack, watch: Watch, database: Database
) -> None:
    """Killed between having read what was said and committing it."""
    halting = Halting(stack, FinishInterruption)
    async with (
        Stack(database, stack.guard) as other,
        hand(
            stack,
            "dead",
            provider=Hangs(TextDelta("well")),
            chats=halting,
            lease_s=1.0,
        ) as dead,
    ):
        chat = await ChatByHand.create(stack)
        async with stack.follow(chat.id, after="0") as client:
            await client.until(lambda c: bool(c.named("message_part")))
        await chat.send("next")
        await chat.interrupt()
        await halting.halted.wait()
        await dead.die()
        assert interrupting(await chat.state())
        async with hand(other, "alive", provider=Speaks(SO), lease_s=1.0):
            state = await watch.until(chat.id, lambda s: rests(s) and not s.queue)
    assert texts(state) == ["well", "so"]
    events = types(await history(stack, chat.id))
    assert events.count("interruption_finished") == 1
    assert events.count("run_acquired") == 2


async def test_an_answer_that_an_interrupt_overtakes_is_kept_as_partial(
    stack: Stack, watch: Watch
) -> None:
    """The commit comes second: the log refuses it, and the parts are what remains."""
    halting = Halting(stack, CommitStep)
    async with hand(stack, provider=Speaks(SO), chats=halting):
        chat = await ChatByHand.create(stack)
        await halting.halted.wait()
        await chat.interrupt()
        halting.go_on.set()
        state = await watch.until(chat.id, rests)
    assert texts(state) == ["so"]
    events = types(await history(stack, chat.id))
    assert events.count("step_committed") == 0
    assert events[-1] == "interruption_finished"


async def test_an_interrupt_needs_no_slot(stack: Stack, watch: Watch) -> None:
    """The one slot is taken, and nobody has ever held the other chat."""
    provider = Gated()
    async with hand(stack, provider=provider, slots=1):
        running = await ChatByHand.create(stack)
        await provider.asked.wait()
        chat = await ChatByHand.create(stack)
        await chat.interrupt()
        state = await watch.until(chat.id, rests, timeout=SOON_S)
        assert state.status is Status.WAITING
        assert not rests(await running.state())
        await chat.send("next")
        provider.gate.set()
        state = await watch.until(chat.id, rests)
    assert texts(state) == ["well then"]
