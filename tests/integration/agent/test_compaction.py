"""A history that is too long is replaced by a summary, for the model only."""

from __future__ import annotations

from decimal import Decimal

import pytest

from service.domain.chat.compaction import TOOL
from service.domain.chat.state import Status
from service.domain.cost import Prices
from service.domain.events.chat import (
    StepCommitted,
)
from service.domain.parts import ToolCallPart, ToolResultPart
from service.domain.prompts import SUMMARY_INSTRUCTION, SUMMARY_PREFIX
from service.providers.provider import (
    Finish,
    ProviderError,
)
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Stack
from tests.integration.agent.crew import (
    Gated,
    InTurn,
    Speaks,
    Switchboard,
    Watch,
    a_model,
    hand,
    history,
    rests,
    texts,
    types,
)
from tests.integration.agent.summing import (
    LIMIT,
    SUMMARY,
    answered,
    answers,
    asked,
    board,
    calls,
    compacted,
    is_summary,
    settled,
    settled_after,
    sums_up,
)


async def test_a_turn_shortens_its_history_between_two_steps(
    stack: Stack, watch: Watch
) -> None:
    provider = Speaks(calls(700), sums_up(), answers("noon"))
    async with hand(stack, models=board(provider)):
        chat = await ChatByHand.create(stack, "what time is it?")
        state = await watch.until(chat.id, rests)
    assert types(await history(stack, chat.id))[3:] == [
        "generation_attempt_started", "message_appended", "step_committed",
        "generation_attempt_started", "message_appended", "step_committed",
        "generation_attempt_started",
        "message_appended", "message_appended", "message_appended",
        "history_compacted", "step_committed",
        "generation_attempt_started", "message_appended", "step_committed",
        "turn_finished",
    ]  # fmt: skip
    first, summary, second = provider.requests
    assert [is_summary(request) for request in provider.requests] == [
        False,
        True,
        False,
    ]
    assert summary.tool_choice == "none"
    assert summary.tools == first.tools
    assert summary.system == first.system
    assert asked(summary) == ["what time is it?", SUMMARY_INSTRUCTION]
    assert asked(second) == [f"{SUMMARY_PREFIX}\n\n{SUMMARY}"]
    assert state.turn_id is None
    assert texts(state)[-1] == "noon"


async def test_what_is_kept_of_a_compaction(stack: Stack, watch: Watch) -> None:
    provider = Speaks(calls(700), sums_up(), answers("noon"))
    prices = Prices(input=Decimal(2), output=Decimal(10))
    async with hand(stack, models=board(provider, prices=prices)):
        chat = await ChatByHand.create(stack, "what time is it?")
        state = await watch.until(chat.id, rests)
    event = await compacted(stack, chat)
    assert (event.source, event.threshold_percent) == ("automatic", 70)
    assert (event.context_tokens, event.context_limit) == (700, LIMIT)
    summary, called, result = (
        m for m in state.messages if event.summary_id <= m.id < event.summary_id + 3
    )
    assert [m.visibility for m in (summary, called, result)] == [
        "model",
        "user",
        "user",
    ]
    (call,), (told,) = called.parts, result.parts
    assert isinstance(call, ToolCallPart)
    assert isinstance(told, ToolResultPart)
    assert (call.tool_name, call.tool_call_id) == (TOOL, told.tool_call_id)
    assert told.result == {
        "summary": SUMMARY,
        "source": "automatic",
        "threshold_percent": 70,
        "context_tokens": 700,
        "context_limit_tokens": LIMIT,
        "usage_percent": 70.0,
    }
    events = await history(stack, chat.id)
    (step,) = [
        e for e in events if isinstance(e, StepCommitted) and e.kind == "compaction"
    ]
    assert step.usage is not None
    assert (step.usage.input_tokens, step.cost_micros) == (500, 1100)
    assert step.runtime_ms is not None
    assert step.response == {"id": "r1"}
    assert step.asked is not None
    assert (step.asked.provider, step.asked.model) == ("speaks", "m1")


async def test_followers_see_that_it_is_under_way_and_what_came_of_it(
    stack: Stack, watch: Watch
) -> None:
    gated = Gated()
    provider = InTurn(Speaks(answers("hi", 900)), gated, Speaks(answers("noon")))
    async with hand(stack, models=board(provider)):
        chat = await ChatByHand.create(stack)
        await watch.until(chat.id, rests)
        async with stack.follow(chat.id, after="now") as client:
            await chat.send("and now?")
            await gated.asked.wait()
            await client.until(lambda c: bool(c.named("message_part")))
            gated.gate.set()
            await client.until(lambda c: bool(c.named("turn_finished")))
    shown = [frame.data["part"] for frame in client.named("message_part")]
    assert (shown[0]["type"], shown[0]["tool_name"]) == ("tool-call", TOOL)
    assert all("well" not in str(part) for part in shown), "a summary is not streamed"
    *_, called, told, answer = (frame.data for frame in client.named("message"))
    roles = [frame["message"]["role"] for frame in (called, told, answer)]
    assert roles == ["assistant", "tool", "assistant"]
    (part,) = called["message"]["content"]
    assert part["tool_call_id"] == shown[0]["tool_call_id"]
    first = client.named("message_part")[0].data
    assert called["replaces"] == {name: first[name] for name in ("epoch", "attempt")}


async def test_a_threshold_of_100_never_shortens(stack: Stack, watch: Watch) -> None:
    provider = Speaks(calls(5000), answers("noon"))
    async with hand(stack, models=board(provider, threshold_percent=100)):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    assert state.summaries == ()
    assert texts(state)[-1] == "noon"


@pytest.mark.parametrize(
    ("threshold", "tokens", "shortened"),
    [(70, 699, False), (70, 700, True), (0, 1, True), (99, 989, False)],
    ids=["below", "at", "always", "just-below"],
)
async def test_it_begins_at_the_threshold(
    stack: Stack, watch: Watch, threshold: int, tokens: int, shortened: bool
) -> None:
    provider = Speaks(
        calls(tokens), *([sums_up()] if shortened else []), answers("noon", 0)
    )
    async with hand(stack, models=board(provider, threshold_percent=threshold)):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    assert bool(state.summaries) is shortened
    assert texts(state)[-1] == "noon"


async def test_a_summary_must_fit_the_model_that_writes_it(
    stack: Stack, watch: Watch
) -> None:
    provider, writer = Speaks(calls(400), answers("noon")), Speaks(sums_up())
    models = board(provider)
    models.compaction = a_model(writer, "small", context_limit=500)
    async with hand(stack, models=models):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    assert len(writer.requests) == 1
    assert (await compacted(stack, chat)).context_limit == 500
    assert texts(state)[-1] == "noon"


async def test_a_summary_that_does_not_help_ends_the_turn(
    stack: Stack, watch: Watch
) -> None:
    provider = Speaks(calls(700), sums_up(), calls(800, "c2"), answers("never"))
    async with hand(stack, models=board(provider)):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    assert state.status is Status.ERROR
    assert state.last_error is not None
    assert state.last_error.kind == "config"
    assert "raise the context limit" in state.last_error.message
    assert len(provider.requests) == 3


async def test_a_raised_limit_lets_that_chat_go_on(stack: Stack, watch: Watch) -> None:
    provider = Speaks(calls(700), sums_up(), calls(800, "c2"), answers("noon"))
    models = board(provider)
    async with hand(stack, models=models):
        chat = await ChatByHand.create(stack)
        await watch.until(chat.id, rests)
        models.default = a_model(provider, context_limit=2 * LIMIT)
        await chat.send("again")
        state = await watch.until(chat.id, lambda s: s.status is Status.WAITING)
    assert texts(state)[-1] == "noon"
    assert len(state.summaries) == 1


async def test_a_longer_chat_is_shortened_again(stack: Stack, watch: Watch) -> None:
    provider = Speaks(
        answers("one", 900), sums_up("first"), answers("two", 100),
        answers("three", 900), sums_up("second"), answers("four"),
    )  # fmt: skip
    async with hand(stack, models=board(provider)):
        chat = await ChatByHand.create(stack, "1")
        await watch.until(chat.id, rests)
        for count, text in enumerate("234", 2):
            await chat.send(text)
            state = await watch.until(
                chat.id, lambda s, n=count: settled(s) and len(answered(s)) == n
            )
    assert answered(state) == ["one", "two", "three", "four"]
    assert len(state.summaries) == 2
    assert asked(provider.requests[-1])[0].endswith("second")
    assert "first" in asked(provider.requests[-2])[0]


# a refusal tells the limit


async def test_a_vendor_that_says_its_limit_is_believed_in_the_next_turn(
    stack: Stack, watch: Watch
) -> None:
    refused = ProviderError(
        "config", "the prompt is too long", status_code=400, context_limit=800
    )
    provider = Speaks(answers("one", 600), [refused], sums_up(), answers("three", 100))
    models = Switchboard(a_model(provider, context_limit=100_000))
    async with hand(stack, models=models):
        chat = await ChatByHand.create(stack, "1")
        await watch.until(chat.id, rests)
        await chat.send("2")
        failed = await watch.until(chat.id, lambda s: s.status is Status.ERROR)
        await chat.send("3")
        state = await watch.until(chat.id, settled_after(failed))
    assert (failed.context_limit, state.status) == (800, Status.WAITING)
    event = await compacted(stack, chat)
    assert (event.context_tokens, event.context_limit) == (600, 800)
    assert answered(state) == ["one", "three"]


async def test_without_a_config_an_answer_may_say_the_limit(
    stack: Stack, watch: Watch
) -> None:
    called = calls(900)[:-1]
    told = Finish("tool_calls", {"model_info": {"max_context_tokens": LIMIT}})
    provider = Speaks([*called, told], sums_up(), answers("noon"))
    async with hand(stack, models=Switchboard(a_model(provider))):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    assert (await compacted(stack, chat)).context_limit == LIMIT
    usage = state.messages[1].usage
    assert usage is not None
    assert usage.context_limit == LIMIT
