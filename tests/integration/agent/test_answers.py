"""What a turn makes of strange answers: none, withheld, calls that cannot be run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import JsonValue

from service.domain.chat.state import ChatState, Status
from service.domain.events.chat import (
    TurnFinished,
    Usage,
    UsageRecorded,
)
from service.domain.parts import ToolResultPart
from service.metrics import Metrics
from service.providers.provider import (
    Finish,
    FinishReason,
    TextDelta,
    ToolCall,
    ToolSpec,
    UsageReport,
)
from service.tools.registry import Tool
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Stack
from tests.integration.agent.crew import (
    Speaks,
    Switchboard,
    Watch,
    a_model,
    hand,
    history,
    rests,
    says,
    steps,
    texts,
)

# answers that are none


async def test_a_filtered_answer_is_an_error_not_an_empty_one(
    stack: Stack, watch: Watch
) -> None:
    async with hand(stack, provider=Speaks([Finish("content_filter")])):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    assert state.last_error is not None
    assert state.last_error.kind == "content_filter"
    assert not state.last_error.retryable
    assert state.last_error.provider == "speaks"


@pytest.mark.parametrize("reason", ["stop", "content_filter"])
async def test_what_an_answer_without_words_took_is_recorded(
    stack: Stack, watch: Watch, reason: FinishReason
) -> None:
    took = Usage(input_tokens=7, total_tokens=7)
    provider = Speaks([UsageReport(took), Finish(reason)])
    async with hand(stack, provider=provider):
        chat = await ChatByHand.create(stack)
        await watch.until(chat.id, rests)
    *_, recorded, ended = await history(stack, chat.id)
    assert isinstance(recorded, UsageRecorded)
    assert (recorded.purpose, recorded.usage) == ("turn", took)
    assert recorded.asked.provider == "speaks"
    assert ended.type == ("turn_finished" if reason == "stop" else "turn_failed")


async def test_the_beginning_of_a_filtered_answer_is_kept(
    stack: Stack, watch: Watch
) -> None:
    provider = Speaks([TextDelta("It all began"), Finish("content_filter")])
    async with hand(stack, provider=provider):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    assert state.status is Status.WAITING
    assert texts(state) == ["It all began"]
    (step,) = steps(await history(stack, chat.id))
    assert step.finish_reason == "content_filter"


async def test_a_call_without_arguments_is_answered_not_run(
    stack: Stack, watch: Watch
) -> None:
    """What was no JSON, or named a thing twice, comes as None."""
    ran = asyncio.Event()

    async def tool(_: Mapping[str, JsonValue]) -> JsonValue:
        ran.set()
        return None

    tools = [Tool(ToolSpec("t", "Runs.", {}), tool)]
    provider = Speaks([ToolCall("c1", "t", None), Finish("tool_calls")], says("so"))
    async with hand(stack, provider=provider, tools=tools):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    (result,) = state.messages[2].parts
    assert isinstance(result, ToolResultPart)
    assert result.is_error
    assert not ran.is_set()


def tool_of(name: str, answer: Any, **fields: Any) -> Tool:
    async def run(_: Mapping[str, JsonValue]) -> JsonValue:
        if isinstance(answer, BaseException):
            raise answer
        result: JsonValue = answer
        return result

    return Tool(ToolSpec(name, "Answers.", {}), run, **fields)


def results(state: ChatState) -> list[ToolResultPart]:
    parts = [part for message in state.messages for part in message.parts]
    return [part for part in parts if isinstance(part, ToolResultPart)]


async def test_a_result_is_cut_to_what_the_model_can_bear(
    stack: Stack, watch: Watch
) -> None:
    long, metrics = "x" * 100_000, Metrics()
    provider = Speaks([ToolCall("c1", "long", {}), Finish("tool_calls")], says("so"))
    models = Switchboard(a_model(provider, context_limit=30_000))
    tools = [tool_of("long", long)]
    async with hand(stack, models=models, tools=tools, metrics=metrics):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    (result,) = results(state)
    assert isinstance(result.result, str)
    assert len(result.result) <= 30_000
    assert result.result.startswith("xxx")
    assert not result.is_error
    labels = {"provider": "speaks", "model": "m1", "tool_name": "long"}
    cut = metrics.registry.get_sample_value(
        "parley_tool_result_truncated_total", labels
    )
    size = metrics.registry.get_sample_value(
        "parley_tool_result_size_bytes_sum", labels
    )
    assert cut == 1
    assert size is not None
    assert size <= 30_000 + 2


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError(), asyncio.CancelledError()],
    ids=["a-bug", "cancels-itself"],
)
async def test_a_tool_that_breaks_is_answered_for(
    stack: Stack, watch: Watch, error: BaseException
) -> None:
    provider = Speaks(
        [
            ToolCall("c1", "breaks", {}),
            ToolCall("c2", "works", {}),
            ToolCall("c3", "unheard_of", {}),
            Finish("tool_calls"),
        ],
        says("so"),
    )
    tools = [tool_of("breaks", error), tool_of("works", "well")]
    async with hand(stack, provider=provider, tools=tools):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    told = [(part.tool_call_id, part.is_error) for part in results(state)]
    assert told == [("c1", True), ("c2", False), ("c3", True)]
    assert results(state)[0].result == {"error": "tool 'breaks' failed unexpectedly"}
    assert texts(state)[-1] == "so"


@pytest.mark.parametrize("works", [True, False], ids=["works", "fails"])
async def test_a_tool_may_end_the_turn(stack: Stack, watch: Watch, works: bool) -> None:
    provider = Speaks([ToolCall("c1", "ends", {}), Finish("tool_calls")], says("so"))
    tools = [tool_of("ends", "well" if works else ZeroDivisionError(), stop_after=True)]
    async with hand(stack, provider=provider, tools=tools):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    finished = (await history(stack, chat.id))[-1]
    assert isinstance(finished, TurnFinished)
    assert finished.reason == ("stop_tool" if works else "complete")
    assert len(provider.requests) == (1 if works else 2)
    assert state.status is Status.WAITING
