"""L8, L14, L16, L17, L18, L21, L24: what a turn is made of, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from service.agent.retry import RetryPolicy
from service.domain.chat.state import ChatState, Status
from service.domain.commands.chat import EditMessage, RequestCompaction
from service.domain.events.chat import StepCommitted, TurnSettings, Usage
from service.domain.parts import TextPart
from service.providers.provider import (
    Delta,
    Finish,
    ProviderError,
    TextDelta,
    ToolCall,
    ToolSpec,
    UsageReport,
)
from service.tools.registry import Tool
from tests.builders import OWNER
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Stack
from tests.integration.agent.crew import (
    Gated,
    InTurn,
    Speaks,
    Watch,
    hand,
    history,
    rests,
    texts,
    types,
)

SO: list[Delta | Exception] = [TextDelta("so"), Finish("stop")]


@pytest.mark.parametrize(
    ("says", "ends"),
    [
        ([Finish("stop")], Status.WAITING),
        ([Finish("tool_calls")], Status.WAITING),
        ([TextDelta(""), Finish("stop")], Status.WAITING),
        ([Finish("length")], Status.WAITING),
        ([], Status.ERROR),
    ],
    ids=["nothing", "no-calls", "empty-text", "cut", "no-end"],
)
async def test_l08_a_step_that_says_nothing_ends_the_turn(
    stack: Stack, watch: Watch, says: list[Delta | Exception], ends: Status
) -> None:
    """The chat comes to rest, and nobody holds it; then it answers the next message."""
    few = RetryPolicy(first_s=0.001, longest_s=0.001)
    async with hand(stack, provider=Speaks(says), retry=few):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
        await chat.send("again")
        again = await watch.until(
            chat.id, lambda s: rests(s) and len(texts(s, "user")) == 2
        )
    for rested in (state, again):
        assert rested.status is ends
        assert rested.episode is None
    async with stack.pool.connection() as connection:
        cursor = await connection.execute("SELECT count(*) FROM ops.leases")
        assert await cursor.fetchone() == (0,)


async def test_l14_a_queued_message_is_answered_as_it_was_asked_for(
    stack: Stack, watch: Watch
) -> None:
    """The settings of its own send, not those of the chat when its turn begins."""
    deep = TurnSettings(model="deep", reasoning_effort="high")
    gated, speaks = Gated(), Speaks(SO)
    async with hand(stack, provider=InTurn(gated, speaks)):
        chat = await ChatByHand.create(stack, settings=TurnSettings(model="fast"))
        await gated.asked.wait()
        await chat.send("two", settings=deep)
        await chat.send("three", settings=TurnSettings(model="third"))
        gated.gate.set()
        await watch.until(chat.id, lambda s: rests(s) and not s.queue)
    asked = [(r.model, r.reasoning_effort) for r in speaks.requests]
    assert asked == [("deep", "high"), ("third", None)]


async def test_l16_what_a_tool_gives_back_poisons_no_history(
    stack: Stack, watch: Watch
) -> None:
    """NULs, halves of characters, a megabyte: the chat goes on, also a turn later."""
    outputs = ["a\x00b", "\ud800", "x" * 1_000_000, {"\x00": "\udfff"}, float("nan")]

    async def run(args: Mapping[str, Any]) -> Any:
        return outputs[args["n"]]

    tool = Tool(ToolSpec("bad", "Gives back what is bad.", {"type": "object"}), run)
    calls: list[Delta | Exception] = [
        *(ToolCall(f"c{n}", "bad", {"n": n}) for n in range(len(outputs))),
        ToolCall("c1", "bad", {"n": 0}),  # an id twice
        Finish("tool_calls"),
    ]
    speaks = Speaks(calls, SO)
    async with hand(stack, provider=speaks, tools=[tool]):
        chat = await ChatByHand.create(stack)
        await watch.until(chat.id, rests)
        await chat.send("and now?")
        state = await watch.until(
            chat.id, lambda s: rests(s) and len(texts(s, "user")) == 2
        )
    assert state.status is Status.WAITING, state.last_error
    assert texts(state)[-2:] == ["so", "so"]


async def test_l17_every_request_has_the_whole_history(
    stack: Stack, watch: Watch
) -> None:
    """Nothing is chained to what a vendor keeps: also after an edit it is all there."""
    speaks = Speaks(SO)
    async with hand(stack, provider=speaks):
        chat = await ChatByHand.create(stack, "one")
        await watch.until(chat.id, rests)
        await chat.send("two")
        await watch.until(chat.id, lambda s: rests(s) and len(s.messages) == 4)
        edit = EditMessage(
            now=stack.now(),
            sender_id=OWNER,
            message_id=2,
            parts=(TextPart(text="uno"),),
        )
        await chat.execute(edit)
        await watch.until(chat.id, lambda s: rests(s) and len(s.messages) == 2)
    told = [
        ["".join(p.text for p in m.parts if p.type == "text") for m in r.messages]
        for r in speaks.requests
    ]
    assert told == [["one"], ["one", "so", "two"], ["uno"]]


@pytest.mark.parametrize("retryable", [True, False], ids=["passes", "stays"])
async def test_l18_only_what_may_pass_is_tried_again(
    stack: Stack, watch: Watch, retryable: bool
) -> None:
    """Which failure is which: the table of tests/unit/providers/test_classify.py."""
    failure = ProviderError(kind="generic", message="no", retryable=retryable)
    speaks = Speaks([TextDelta("half"), failure], SO)
    async with hand(stack, provider=speaks):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    assert len(speaks.requests) == 1 + retryable
    assert texts(state) == (["so"] if retryable else [])
    assert state.status is (Status.WAITING if retryable else Status.ERROR)


async def test_l21_what_a_step_cost_is_in_the_log(stack: Stack, watch: Watch) -> None:
    usage = Usage(input_tokens=7, output_tokens=3, total_tokens=10)
    speaks = Speaks([TextDelta("so"), UsageReport(usage), Finish("stop")])
    async with hand(stack, provider=speaks):
        chat = await ChatByHand.create(stack)
        await watch.until(chat.id, rests)
    (step,) = [e for e in await history(stack, chat.id) if isinstance(e, StepCommitted)]
    assert step.usage == usage
    assert step.runtime_ms is not None
    assert step.runtime_ms >= 0


async def test_l24_a_wish_to_compact_a_failed_chat_opens_an_epoch_of_its_own(
    stack: Stack,
) -> None:
    """So its episode can have no key that a failed attempt has left parts under."""
    chat = await ChatByHand.create(stack)
    await chat.acquire()
    await chat.attempt()
    await chat.commit("so")
    await chat.finish()
    await chat.send("more")
    await chat.acquire()
    await chat.attempt()
    before = (await chat.state()).episode
    assert before is not None
    await chat.fail()
    await chat.execute(RequestCompaction(now=stack.now(), actor="test"))
    await chat.acquire()
    state: ChatState = await chat.state()
    assert state.epoch > before.epoch
    assert types(await history(stack, chat.id)).count("compaction_requested") == 1
