"""Stopping a running turn: soon, with what had been said, whoever finishes it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pydantic import JsonValue

from service.domain.chat.state import ChatState, Status
from service.domain.events.chat import InterruptionFinished
from service.domain.parts import ToolResultPart
from service.providers.provider import Finish, TextDelta, ToolCall, ToolSpec
from service.tools.registry import Tool
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Stack
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
