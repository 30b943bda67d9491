"""The model that tests script: steps in, deltas out."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

import pytest

from service.domain.chat.state import Message
from service.domain.parts import TextPart
from service.providers.provider import (
    BlockEnd,
    Delta,
    Finish,
    ModelRequest,
    ProviderError,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolInputStart,
    UsageReport,
)
from service.testing.model import Call, Failure, Pause, Reasoning, ScriptedModel


def request(text: str = "hello") -> ModelRequest:
    asked = Message(
        id=2,
        role="user",
        visibility="both",
        parts=(TextPart(text=text),),
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
    )
    return ModelRequest(messages=(asked,), tools=())


async def play(model: ScriptedModel, text: str = "hello") -> list[Delta]:
    return [delta async for delta in model.stream(request(text))]


async def test_a_step_is_said_word_by_word() -> None:
    model = ScriptedModel()
    model.answer([Reasoning("hm hm"), "It  is\nlate. "])
    *said, usage, end = await play(model)
    assert said == [
        ReasoningDelta("hm"), ReasoningDelta(" hm"), BlockEnd(),
        TextDelta("It"), TextDelta(" "), TextDelta(" is\nlate."), TextDelta(" "),
        BlockEnd(),
    ]  # fmt: skip
    assert isinstance(usage, UsageReport)
    assert end == Finish("stop")


async def test_steps_come_one_after_the_other_with_calls_of_their_own() -> None:
    model = ScriptedModel()
    model.answer(Call("clock", {"timezone": "UTC"}), [Call("clock")])
    model.answer("done")
    calls = []
    for left in (2, 1):
        start, call, _, end = await play(model)
        assert isinstance(start, ToolInputStart)
        assert isinstance(call, ToolCall)
        assert start.tool_call_id == call.tool_call_id
        assert end == Finish("tool_calls")
        assert model.left == left
        calls.append(call)
    assert calls[0].tool_call_id != calls[1].tool_call_id
    assert [call.args for call in calls] == [{"timezone": "UTC"}, {}]
    assert (await play(model))[0] == TextDelta("done")
    assert len(model.requests) == 3


async def test_a_failure_comes_where_it_stands() -> None:
    model = ScriptedModel()
    model.answer(["so", Failure("overloaded", "later", retryable=True), "never"])
    said: list[Delta] = []

    async def listen() -> None:
        async for delta in model.stream(request()):
            said.append(delta)

    with pytest.raises(ProviderError, match="later") as failed:
        await listen()
    assert said == [TextDelta("so"), BlockEnd()]
    assert (failed.value.kind, failed.value.retryable) == ("overloaded", True)


async def test_a_pause_is_released_from_another_thread() -> None:
    model, pause = ScriptedModel(), Pause()
    model.answer(["one", pause, "two"], [pause, "three"])
    said: list[Delta] = []
    reached = asyncio.Event()

    async def listen() -> None:
        async for delta in model.stream(request()):
            said.append(delta)
            if delta == BlockEnd():
                reached.set()

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(listen())
        await reached.wait()
        assert said == [TextDelta("one"), BlockEnd()]
        threading.Thread(target=pause.release).start()
    assert TextDelta("two") in said
    # released once, it holds nobody any more
    assert TextDelta("three") in await play(model)


async def test_without_steps_the_built_in_script_plays() -> None:
    model = ScriptedModel()
    model.answer("never said")
    model.reset()
    said = await play(model, "count 3")
    assert said[:3] == [TextDelta("1"), TextDelta(" 2"), TextDelta(" 3")]
