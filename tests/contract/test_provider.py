"""Every provider: well-formed streams, typed errors, prompt ends.

A provider joins with a `Case`: itself, and what a user must say to get each behaviour.
Vendors answer from servers of ours that speak their wire formats.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio

from service import wire
from service.domain.chat.state import Message
from service.providers.choose import open_provider
from service.providers.provider import (
    BlockEnd,
    Delta,
    Finish,
    FinishReason,
    ModelRequest,
    Opened,
    Provider,
    ProviderError,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolInputDelta,
    ToolInputStart,
    UsageReport,
)
from service.providers.scripted import Scripted
from service.tools.clock import SPEC
from tests.builders import (
    a_chat,
    assistant,
    call,
    created,
    result,
    state_of,
    tool,
    user,
)
from tests.fixtures.wires import SERVERS, vendor_model


@dataclass(frozen=True)
class Case:
    """A provider, and user texts that make it behave."""

    provider: Provider
    long_text: str = "count 500"
    huge_text: str = "count 4000"
    no_text: str = "count 0"
    calls_a_tool: str = "what time is it?"
    fails: str = "fail"


@pytest_asyncio.fixture(params=["scripted", *SERVERS])
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    if request.param == "scripted":
        yield Case(Scripted(rate=1e6))
        return
    async with SERVERS[request.param]() as server:
        chosen = vendor_model(request.param, server.url, server.key)
        async with open_provider(chosen, scripted_rate=1.0) as provider:
            yield Case(provider)


def asking(text: str, *after: Message) -> ModelRequest:
    messages = [*state_of(created(), user(text)).messages, *after]
    return ModelRequest(messages=messages, tools=[SPEC])


async def everything(case: Case, text: str, **how: Any) -> list[Delta]:
    request = replace(asking(text), **how)
    async with asyncio.timeout(20), aclosing(case.provider.stream(request)) as got:
        return [delta async for delta in got]


def reason_of(deltas: list[Delta]) -> FinishReason:
    last = deltas[-1]
    assert isinstance(last, Finish)
    return last.reason


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


async def test_it_has_a_name(case: Case) -> None:
    assert case.provider.name


@pytest.mark.parametrize("what", ["long_text", "calls_a_tool"])
async def test_a_stream_ends_with_one_finish(case: Case, what: str) -> None:
    deltas = await everything(case, getattr(case, what))
    finishes = [delta for delta in deltas if isinstance(delta, Finish)]
    assert finishes == deltas[-1:]


async def test_word_that_it_opened_comes_first_and_once(case: Case) -> None:
    deltas = await everything(case, case.long_text)
    opened = [at for at, delta in enumerate(deltas) if isinstance(delta, Opened)]
    assert opened in ([], [0])


async def test_an_answer_may_be_empty(case: Case) -> None:
    deltas = await everything(case, case.no_text)
    assert text_of(deltas) == ""
    assert reason_of(deltas) == "stop"


async def test_an_answer_may_be_huge(case: Case) -> None:
    deltas = await everything(case, case.huge_text)
    assert text_of(deltas) == " ".join(map(str, range(1, 4_001)))
    assert reason_of(deltas) == "stop"


async def test_no_tool_is_called_when_none_may_be(case: Case) -> None:
    deltas = await everything(case, case.calls_a_tool, tool_choice="none")
    assert not any(isinstance(d, ToolInputStart | ToolCall) for d in deltas)
    assert text_of(deltas)
    assert reason_of(deltas) == "stop"


async def test_a_prompt_may_be_long(case: Case) -> None:
    system = ["Be brief. " * 1000, "Be kind. " * 1000]
    deltas = await everything(case, case.long_text, system=system, attempt=7)
    assert reason_of(deltas) == "stop"


async def test_usage_is_reported(case: Case) -> None:
    deltas = await everything(case, case.long_text)
    reports = [delta for delta in deltas if isinstance(delta, UsageReport)]
    assert reports
    assert (reports[-1].usage.output_tokens or 0) > 0


async def test_text_comes_in_many_deltas(case: Case) -> None:
    deltas = await everything(case, case.long_text)
    texts = [delta.text for delta in deltas if isinstance(delta, TextDelta)]
    assert len(texts) > 10
    assert all(texts)


async def test_blocks_are_opened_before_they_end(case: Case) -> None:
    open_block = False
    for delta in await everything(case, case.calls_a_tool):
        match delta:
            case TextDelta() | ReasoningDelta():
                open_block = True
            case BlockEnd():
                assert open_block
                open_block = False
            case ToolInputStart() | ToolInputDelta() | ToolCall():
                open_block = False


async def test_a_call_is_begun_written_and_whole(case: Case) -> None:
    deltas = await everything(case, case.calls_a_tool)
    (made,) = (delta for delta in deltas if isinstance(delta, ToolCall))
    of_call = [
        delta
        for delta in deltas
        if isinstance(delta, ToolInputStart | ToolInputDelta | ToolCall)
        and delta.tool_call_id == made.tool_call_id
    ]
    assert isinstance(of_call[0], ToolInputStart)
    assert of_call[-1] is made
    typed = "".join(d.args_delta for d in of_call if isinstance(d, ToolInputDelta))
    assert wire.loads(typed) == made.args
    assert reason_of(deltas) == "tool_calls"
    assert made.tool_name in {SPEC.name}


async def test_a_turn_goes_on_after_results(case: Case) -> None:
    deltas = await everything(case, case.calls_a_tool)
    (made,) = (delta for delta in deltas if isinstance(delta, ToolCall))
    history = state_of(
        *a_chat()[:1],
        user(case.calls_a_tool),
        assistant(call(made.tool_call_id, made.tool_name, args=made.args)),
        tool(result(made.tool_call_id)),
    ).messages
    request = ModelRequest(messages=list(history), tools=[SPEC])
    async with aclosing(case.provider.stream(request)) as got:
        second = [delta async for delta in got]
    assert any(isinstance(delta, TextDelta) for delta in second)
    assert reason_of(second) == "stop"


async def test_errors_are_provider_errors(case: Case) -> None:
    with pytest.raises(ProviderError) as failure:
        await everything(case, case.fails)
    assert failure.value.message
    assert failure.value.kind


async def test_closing_ends_the_call(case: Case) -> None:
    stream = case.provider.stream(asking(case.long_text))
    while not isinstance(await anext(stream), TextDelta):
        pass
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_cancelling_ends_the_call(case: Case) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        async with aclosing(case.provider.stream(asking(case.long_text))) as got:
            async for _ in got:
                begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_streams_run_side_by_side(case: Case) -> None:
    provider = case.provider

    async def read() -> list[Delta]:
        async with aclosing(provider.stream(asking(case.long_text))) as got:
            return [delta async for delta in got]

    first, second = await asyncio.gather(read(), read())
    assert [d for d in first if isinstance(d, TextDelta)] == [
        d for d in second if isinstance(d, TextDelta)
    ]
