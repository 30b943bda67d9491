"""Whole turns, from a user's message to rest."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pydantic import JsonValue

from service.agent.runner import Outcome
from service.domain.chat.state import Status
from service.domain.commands.chat import UpdateChat
from service.domain.events.chat import MessageAppended, StepCommitted, TurnSettings
from service.domain.parts import ToolCallPart, ToolResultPart
from service.providers.provider import (
    Delta,
    Finish,
    TextDelta,
    ToolCall,
    ToolSpec,
)
from service.tools.registry import Tool
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Stack
from tests.integration.agent.crew import (
    Gated,
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


async def test_count_is_answered_and_the_chat_rests(stack: Stack, watch: Watch) -> None:
    async with hand(stack) as worker:
        chat = await ChatByHand.create(stack, "count 1000")
        state = await watch.until(chat.id, rests)
        left = await worker.worker.signals.left.wait()
    assert texts(state) == [counted(1000)]
    assert state.status is Status.WAITING
    assert left == (chat.id, Outcome.RESTS)
    assert types(await history(stack, chat.id)) == [
        "chat_created",
        "message_appended",
        "run_acquired",
        "generation_attempt_started",
        "message_appended",
        "step_committed",
        "turn_finished",
    ]


async def test_a_turn_of_several_steps(stack: Stack, watch: Watch) -> None:
    async with hand(stack):
        chat = await ChatByHand.create(stack, "what time is it?")
        state = await watch.until(chat.id, rests)
    events = await history(stack, chat.id)
    assert types(events)[2:] == [
        "run_acquired",
        *["generation_attempt_started", "message_appended", "step_committed"] * 3,
        "turn_finished",
    ]
    committed = [event for event in events if isinstance(event, StepCommitted)]
    assert [event.kind for event in committed] == ["model", "tools", "model"]
    assert [event.finish_reason for event in committed] == ["tool_calls", None, "stop"]
    assert committed[0].usage is not None
    assert committed[0].runtime_ms is not None
    assert committed[1].runtime_ms is None, "tool time is not the model's"
    assert [message.role for message in state.messages][1:] == [
        "assistant",
        "tool",
        "assistant",
    ]
    reasoning, _, call = state.messages[1].parts
    assert reasoning.type == "reasoning"
    assert reasoning.completed_at is not None
    assert isinstance(call, ToolCallPart)
    (result,) = state.messages[2].parts
    assert isinstance(result, ToolResultPart)
    assert result.tool_call_id == call.tool_call_id
    assert isinstance(result.result, dict)
    assert str(result.result["now"]) in texts(state)[-1]


async def test_followers_see_the_parts_of_the_answer(
    stack: Stack, watch: Watch
) -> None:
    async with hand(stack, rate=100):
        chat = await ChatByHand.create(stack, "count 100")
        async with stack.follow(chat.id, after="0") as client:
            await client.until(lambda c: bool(c.named("turn_finished")))
    parts = client.named("message_part")
    said = "".join(frame.data["part"]["text"] for frame in parts)
    # the last parts may be overtaken by the message that replaces them
    assert counted(100).startswith(said)
    assert len(said) > len(counted(50))
    assert len(parts) > 10


async def test_fail_fails_the_turn(stack: Stack, watch: Watch) -> None:
    async with hand(stack):
        chat = await ChatByHand.create(stack, "fail")
        state = await watch.until(chat.id, rests)
    assert state.status is Status.ERROR
    assert state.last_error is not None
    assert state.last_error.provider == "scripted"
    assert not state.last_error.retryable
    assert texts(state) == []


async def test_an_empty_answer_ends_the_turn(stack: Stack, watch: Watch) -> None:
    async with hand(stack):
        chat = await ChatByHand.create(stack, "count 0")
        state = await watch.until(chat.id, rests)
    assert state.status is Status.WAITING
    assert texts(state) == []


async def test_a_failing_provider_fails_the_turn_not_the_worker(
    stack: Stack, watch: Watch
) -> None:
    provider = Speaks([TextDelta("a"), ZeroDivisionError("secret")])
    async with hand(stack, provider=provider):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    assert state.last_error is not None
    assert state.last_error.message == "the chat request failed unexpectedly"


async def test_a_stream_that_is_cut_off_fails_the_turn(
    stack: Stack, watch: Watch
) -> None:
    async with hand(stack, provider=Speaks([TextDelta("a")])):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    assert state.last_error is not None
    assert state.last_error.kind == "timeout"
    assert state.last_error.retryable


async def test_what_postgres_refuses_is_replaced(stack: Stack, watch: Watch) -> None:
    provider = Speaks([TextDelta("a\x00b"), TextDelta("\ud800"), Finish("stop")])
    async with hand(stack, provider=provider):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    assert texts(state) == ["a\ufffdb\ufffd"]


async def test_the_model_is_given_the_history_and_the_tools(
    stack: Stack, watch: Watch
) -> None:
    provider = Speaks([TextDelta("hi"), Finish("stop")])
    async with hand(stack, provider=provider):
        chat = await ChatByHand.create(stack, "one", client_tools=())
        await watch.until(chat.id, rests)
        await chat.send("two")
        await watch.until(chat.id, lambda s: rests(s) and len(s.messages) == 4)
    (_, request) = provider.requests
    assert [message.role for message in request.messages] == [
        "user",
        "assistant",
        "user",
    ]
    assert [tool.name for tool in request.tools] == ["clock"]


def waits_for(event: asyncio.Event, name: str, sets: asyncio.Event | None) -> Tool:
    async def run(_: Mapping[str, JsonValue]) -> JsonValue:
        if sets is not None:
            sets.set()
        await event.wait()
        return name

    return Tool(ToolSpec(name, "A tool of this test.", {}), run)


async def test_parallel_calls_are_committed_together_in_their_order(
    stack: Stack, watch: Watch
) -> None:
    """The first waits for the second: they run side by side."""
    second_ran, at_once = asyncio.Event(), asyncio.Event()
    at_once.set()
    tools = [
        waits_for(second_ran, "first", None),
        waits_for(at_once, "second", second_ran),
    ]
    calls: list[Delta | Exception] = [
        ToolCall("c1", "first", {}),
        ToolCall("c2", "second", {}),
        ToolCall("c3", "third", {}),
        Finish("tool_calls"),
    ]
    provider = Speaks(calls, [TextDelta("so"), Finish("stop")])
    async with hand(stack, provider=provider, tools=tools):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    results = [m.parts[0] for m in state.messages if m.role == "tool"]
    assert [r.result for r in results if isinstance(r, ToolResultPart)][:2] == [
        "first",
        "second",
    ]
    assert isinstance(results[2], ToolResultPart)
    assert results[2].is_error
    events = await history(stack, chat.id)
    appended = [
        e for e in events if isinstance(e, MessageAppended) and e.role == "tool"
    ]
    assert len({event.at for event in appended}) == 1, "one command, one append"


async def test_what_waits_in_the_queue_is_answered_by_the_same_run(
    stack: Stack, watch: Watch
) -> None:
    provider = Gated()
    async with hand(stack, provider=provider):
        chat = await ChatByHand.create(stack, "one")
        await provider.asked.wait()
        await chat.send("two")
        await chat.send("three")
        provider.gate.set()
        state = await watch.until(chat.id, lambda s: rests(s) and not s.queue)
    assert texts(state, "user") == ["one", "two", "three"]
    assert texts(state) == ["well then"] * 3
    assert types(await history(stack, chat.id)).count("run_acquired") == 1


async def test_news_that_changes_nothing_does_not_disturb_a_running_answer(
    stack: Stack, watch: Watch
) -> None:
    provider = Gated()
    async with hand(stack, provider=provider):
        chat = await ChatByHand.create(stack, "one")
        await provider.asked.wait()
        for _ in range(3):
            await chat.send("more")
        seen = (await chat.state()).version
        await watch.until(chat.id, lambda s: s.version >= seen)
        provider.gate.set()
        state = await watch.until(chat.id, lambda s: rests(s) and not s.queue)
    assert texts(state) == ["well then"] * 4
    events = types(await history(stack, chat.id))
    assert events.count("generation_attempt_started") == 4


async def test_a_chat_that_rests_has_no_lease(stack: Stack, watch: Watch) -> None:
    async with hand(stack) as worker:
        chat = await ChatByHand.create(stack, "count 3")
        await worker.worker.signals.left.wait()
        async with stack.pool.connection() as connection:
            cursor = await connection.execute("SELECT count(*) FROM ops.leases")
            assert await cursor.fetchone() == (0,)
        await chat.send("count 4")
        state = await watch.until(chat.id, lambda s: rests(s) and len(s.messages) == 4)
    assert texts(state) == ["1 2 3", "1 2 3 4"]
    assert state.term == 2


async def test_fifty_chats_at_once(stack: Stack, watch: Watch) -> None:
    async with hand(stack, slots=20):
        made = await asyncio.gather(
            *(ChatByHand.create(stack, f"count {n}") for n in range(1, 51))
        )
        for number, chat in enumerate(made, 1):
            state = await watch.until(chat.id, rests)
            assert texts(state) == [counted(number)]


async def test_without_notifications_chats_run_all_the_same(
    stack: Stack, watch: Watch
) -> None:
    stack.muted = True
    async with hand(stack, poll_interval_s=0.1):
        chat = await ChatByHand.create(stack, "count 10")
        state = await watch.until(chat.id, rests)
    assert texts(state) == [counted(10)]


async def test_a_queued_message_has_its_own_settings(
    stack: Stack, watch: Watch
) -> None:
    """Those of the running turn stand, whatever is asked for next."""
    first = TurnSettings(model="fast", reasoning_effort="low")
    second = TurnSettings(model="deep", reasoning_effort="high", plan_mode="plan")
    gated, speaks = Gated(), Speaks([TextDelta("so"), Finish("stop")])
    ran = asyncio.Event()
    ran.set()
    tools = [waits_for(ran, "ours", None)]
    calling = Speaks([ToolCall("c1", "ours", {}), Finish("tool_calls")])
    provider = InTurn(calling, gated, speaks)
    async with hand(stack, provider=provider, tools=tools):
        chat = await ChatByHand.create(stack, "one", settings=first)
        await gated.asked.wait()
        await chat.send("two", settings=second)
        await chat.execute(UpdateChat(now=stack.now(), actor="test", plan_mode=""))
        await chat.send("three")
        gated.gate.set()
        await watch.until(chat.id, lambda s: rests(s) and not s.queue)
    requests = [*calling.requests, *gated.requests, *speaks.requests]
    assert [(r.model, r.reasoning_effort, r.plan_mode) for r in requests] == [
        ("fast", "low", ""),
        ("fast", "low", ""),
        ("deep", "high", "plan"),
        (None, None, ""),
    ]
    committed = [
        event.asked and event.asked.model
        for event in await history(stack, chat.id)
        if isinstance(event, StepCommitted) and event.kind == "model"
    ]
    assert committed == ["fast", "fast", "deep", "default"]


async def test_a_chats_plan_mode_is_that_of_the_turn_that_begins_next(
    stack: Stack, watch: Watch
) -> None:
    gated = Gated()
    async with hand(stack, provider=gated):
        chat = await ChatByHand.create(stack, "one", plan_mode="plan")
        await gated.asked.wait()
        await chat.execute(UpdateChat(now=stack.now(), actor="test", plan_mode=""))
        await chat.send("two")
        gated.gate.set()
        await watch.until(chat.id, lambda s: rests(s) and not s.queue)
    assert [request.plan_mode for request in gated.requests] == ["plan", ""]
