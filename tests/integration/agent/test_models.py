"""Which model a turn asks, what is told of it, and what happens when there is none."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import JsonValue

from service.agent.runner import Outcome
from service.domain.chat.state import Status
from service.domain.cost import Prices
from service.domain.events.chat import (
    GenerationAttemptStarted,
    InterruptionFinished,
    ModelRef,
    TurnSettings,
    Usage,
)
from service.domain.parts import SourcePart, TextPart, ToolCallPart, ToolResultPart
from service.providers.provider import (
    Finish,
    ModelRequest,
    Opened,
    ProviderError,
    Source,
    TextDelta,
    ToolCall,
    ToolResult,
    ToolSpec,
    UsageReport,
)
from service.tools.registry import Tool
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.handclock import HandClock
from tests.fixtures.stack import Stack
from tests.integration.agent.clients import ASKING, asks, chat_with_client, submit
from tests.integration.agent.crew import (
    Hangs,
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
    types,
    used,
)

CLEAR, DEEP = UUID(int=1), UUID(int=2)
SECRET = "the-purple-badger-sings"


def with_config(config: UUID) -> TurnSettings:
    return TurnSettings(model_config_id=config)


# what is told of a call


async def test_a_step_tells_its_model_what_it_took_and_what_it_cost(
    stack: Stack, watch: Watch
) -> None:
    usage = Usage(input_tokens=1000, output_tokens=100, cache_read_tokens=500)
    provider = Speaks(
        [TextDelta("so"), UsageReport(usage), Finish("stop", {"id": "r1"})]
    )
    prices = Prices(input=Decimal(2), output=Decimal("10"), cache_read=Decimal("0.5"))
    model = a_model(provider, config=CLEAR, prices=prices, context_limit=9000)
    async with hand(stack, models=Switchboard(model)):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    events = await history(stack, chat.id)
    ref = ModelRef(provider="speaks", model="m1", model_config_id=CLEAR)
    (started,) = [e for e in events if isinstance(e, GenerationAttemptStarted)]
    (step,) = steps(events)
    assert started.asked == step.asked == ref
    assert step.cost_micros == 1000 * 2 + 100 * 10 + 250
    assert step.usage == usage.model_copy(update={"context_limit": 9000})
    assert step.response == {"id": "r1"}
    assert step.runtime_ms is not None
    assert step.runtime_ms >= 0
    answer = state.messages[-1]
    assert (answer.usage, answer.model_config_id) == (step.usage, CLEAR)


@pytest.mark.parametrize(
    "usage", [None, Usage(), Usage(input_tokens=0)], ids=["none", "empty", "zero"]
)
async def test_what_nobody_counted_is_not_told(
    stack: Stack, watch: Watch, usage: Usage | None
) -> None:
    told = [UsageReport(usage)] if usage else []
    model = a_model(Speaks(says("so", *told)), prices=Prices(input=Decimal(1)))
    async with hand(stack, models=Switchboard(model)):
        chat = await ChatByHand.create(stack)
        await watch.until(chat.id, rests)
    (step,) = steps(await history(stack, chat.id))
    assert (step.usage, step.cost_micros) == (None, None)


async def test_runtime_is_that_of_the_model_alone(stack: Stack, watch: Watch) -> None:
    clock = HandClock()

    async def slow(_: Mapping[str, JsonValue]) -> JsonValue:
        clock.advance(100.0)
        return "done"

    class Takes(Speaks):
        async def stream(self, request: ModelRequest) -> Any:
            clock.advance(1.25)
            async for delta in super().stream(request):
                yield delta

    provider = Takes([ToolCall("c1", "slow", {}), Finish("tool_calls")], says("so"))
    tools = [Tool(ToolSpec("slow", "Takes its time.", {}), slow)]
    async with hand(stack, provider=provider, tools=tools, silence_clock=clock):
        chat = await ChatByHand.create(stack)
        await watch.until(chat.id, rests)
    runtimes = [step.runtime_ms for step in steps(await history(stack, chat.id))]
    assert runtimes == [1250, None, 1250]


async def test_an_answer_that_was_cut_off_tells_how_long_it_took(
    stack: Stack, watch: Watch
) -> None:
    hangs = Hangs(TextDelta("well"))
    async with hand(stack, models=Switchboard(a_model(hangs, config=CLEAR))):
        chat = await ChatByHand.create(stack)
        await hangs.asked.wait()
        await chat.interrupt()
        await watch.until(chat.id, rests)
    finished = (await history(stack, chat.id))[-1]
    assert isinstance(finished, InterruptionFinished)
    assert finished.asked == ModelRef(
        provider="hangs", model="m1", model_config_id=CLEAR
    )
    assert finished.runtime_ms is not None
    assert finished.runtime_ms >= 0


async def test_the_model_may_change_in_the_middle_of_a_chat(
    stack: Stack, watch: Watch
) -> None:
    clear, deep = Speaks(says("clear", used(10))), Speaks(says("deep", used(20)))
    models = Switchboard(
        a_model(clear, "c"),
        {CLEAR: a_model(clear, "c", CLEAR), DEEP: a_model(deep, "d", DEEP)},
    )
    async with hand(stack, models=models):
        chat = await ChatByHand.create(stack, "1", settings=with_config(CLEAR))
        await watch.until(chat.id, rests)
        await chat.send("2", settings=with_config(DEEP))
        await watch.until(chat.id, lambda s: rests(s) and len(texts(s)) == 2)
        await chat.send("3")
        state = await watch.until(chat.id, lambda s: rests(s) and len(texts(s)) == 3)
    assert texts(state) == ["clear", "deep", "deep"]
    assert [m.model_config_id for m in state.messages if m.role == "assistant"] == [
        CLEAR, DEEP, DEEP,
    ]  # fmt: skip
    assert [request.model for request in deep.requests] == ["d", "d"]
    asked = [
        step.asked and step.asked.model for step in steps(await history(stack, chat.id))
    ]
    assert asked == ["c", "d", "d"]


async def test_what_the_vendor_executed_stays_in_the_answer(
    stack: Stack, watch: Watch
) -> None:
    provider = Speaks(
        [
            Opened(),
            ToolCall("s1", "web_search", {"q": "x"}, provider_executed=True),
            ToolResult("s1", "web_search", {"hits": 1}),
            Source("p1", "https://example.org", "A page"),
            TextDelta("found"),
            Finish("stop"),
        ]
    )
    async with hand(stack, provider=provider):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    assert [m.role for m in state.messages] == ["user", "assistant"]
    call, result, source, text = state.messages[-1].parts
    assert isinstance(call, ToolCallPart)
    assert isinstance(result, ToolResultPart)
    assert isinstance(source, SourcePart)
    assert text == TextPart(text="found")
    assert types(await history(stack, chat.id)).count("generation_attempt_started") == 1


# no model


NO_KEY = ProviderError("missing_key", "the provider has no key")
NO_MODEL = ProviderError("config", "no model is set up")
OFF = ProviderError("provider_disabled", "the provider is disabled")


@pytest.mark.parametrize(
    "error", [NO_KEY, NO_MODEL, OFF], ids=lambda error: str(error.kind)
)
async def test_without_a_model_the_turn_fails_at_once(
    stack: Stack, watch: Watch, error: ProviderError
) -> None:
    models = Switchboard(error)
    async with hand(stack, models=models) as only:
        chat = await ChatByHand.create(stack)
        failed = await watch.until(chat.id, rests)
        left = await only.worker.signals.left.wait()
        assert left == (chat.id, Outcome.RESTS)
        models.default = a_model(Speaks(says("so")))
        await chat.send("again")
        state = await watch.until(chat.id, lambda s: s.status is Status.WAITING)
    assert failed.status is Status.ERROR
    assert failed.last_error is not None
    assert (failed.last_error.kind, failed.last_error.message) == (
        error.kind,
        error.message,
    )
    assert texts(state) == ["so"]
    events = types(await history(stack, chat.id))
    assert events[:4] == [
        "chat_created",
        "message_appended",
        "run_acquired",
        "turn_failed",
    ]


async def test_a_model_that_goes_away_fails_the_turn_after_its_calls(
    stack: Stack, watch: Watch
) -> None:
    """What it had called is answered, and nothing is asked of it any more."""
    models = Switchboard(a_model(Speaks([*ASKING])))
    async with hand(stack, models=models):
        chat = await chat_with_client(stack)
        await watch.until(chat.id, asks)
        models.default = OFF
        await submit(stack, chat, c1="because")
        state = await watch.until(chat.id, rests)
    assert state.last_error is not None
    assert state.last_error.kind == "provider_disabled"
    assert [m.role for m in state.messages] == ["user", "assistant", "tool"]


async def test_a_turn_ends_well_whatever_became_of_its_model(
    stack: Stack, watch: Watch
) -> None:
    models: Switchboard

    class LastWord(Speaks):
        async def stream(self, request: ModelRequest) -> Any:
            models.default = NO_KEY
            async for delta in super().stream(request):
                yield delta

    models = Switchboard(a_model(LastWord(says("so"))))
    async with hand(stack, models=models):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    assert (state.status, texts(state)) == (Status.WAITING, ["so"])


# logs


async def test_logs_tell_the_model_and_never_what_was_said(
    stack: Stack, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    overloaded = ProviderError("overloaded", "busy", detail=SECRET, retryable=True)
    provider = Speaks(
        [TextDelta(SECRET), overloaded],
        [
            ToolCall("c1", "clock", {"timezone": SECRET}),
            used(900),
            Finish("tool_calls"),
        ],
        says(SECRET, used(10)),
        says(SECRET, used(10)),
        [RuntimeError("a bug"), Finish("stop")],
    )
    model = a_model(provider, config=CLEAR, context_limit=1000)
    with caplog.at_level(logging.DEBUG):
        async with hand(stack, models=Switchboard(model)):
            chat = await ChatByHand.create(stack, SECRET)
            await watch.until(chat.id, rests)
            await chat.send(SECRET)
            await watch.until(chat.id, lambda s: s.status is Status.ERROR)
    told = [record for record in caplog.records if hasattr(record, "provider")]
    assert {record.name for record in told} >= {
        "service.agent.runner", "service.agent.failure",
    }  # fmt: skip
    assert {(r.provider, getattr(r, "model", "m1")) for r in told} == {("speaks", "m1")}
    for record in caplog.records:
        everything = f"{record.getMessage()} {vars(record)} {record.exc_text}"
        assert SECRET not in everything, record
