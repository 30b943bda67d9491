"""A history that is too long is replaced by a summary, for the model only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from service.db.pool import Database
from service.domain.chat.compaction import TOOL
from service.domain.chat.state import ChatState, Status
from service.domain.commands.chat import (
    CommitCompaction,
    EditMessage,
    RequestCompaction,
)
from service.domain.cost import Prices
from service.domain.events.chat import (
    GenerationAttemptStarted,
    HistoryCompacted,
    StepCommitted,
)
from service.domain.parts import TextPart, ToolCallPart, ToolResultPart
from service.domain.prompts import SUMMARY_INSTRUCTION, SUMMARY_PREFIX
from service.live.read import read_episode
from service.metrics import Metrics
from service.providers.models import Model
from service.providers.provider import (
    BlockEnd,
    Delta,
    Finish,
    ModelRequest,
    ProviderError,
    ReasoningDelta,
    TextDelta,
    ToolCall,
)
from tests.builders import OWNER
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Stack
from tests.integration.agent.clients import ASKING, asks, chat_with_client, submit
from tests.integration.agent.crew import (
    Gated,
    Halting,
    Hangs,
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
    used,
)

Said = list[Delta | Exception]

LIMIT = 1000
SUMMARY = "what was said so far"


def answers(text: str, tokens: int = 10) -> Said:
    return [TextDelta(text), used(tokens), Finish("stop")]


def calls(tokens: int, call_id: str = "c1") -> Said:
    return [ToolCall(call_id, "clock", {}), used(tokens), Finish("tool_calls")]


def sums_up(text: str = SUMMARY) -> Said:
    return [
        ReasoningDelta("what matters?"),
        BlockEnd(),
        TextDelta(f"\n {text} "),
        used(500),
        Finish("stop", {"id": "r1"}),
    ]


def board(provider: Any, **fields: Any) -> Switchboard:
    return Switchboard(a_model(provider, context_limit=LIMIT, **fields))


def settled(state: ChatState) -> bool:
    return rests(state) and not state.queue


async def compact(stack: Stack, chat: ChatByHand) -> None:
    await chat.execute(RequestCompaction(now=stack.now(), actor="test"))


async def compacted(stack: Stack, chat: ChatByHand) -> HistoryCompacted:
    events = await history(stack, chat.id)
    (event,) = [e for e in events if isinstance(e, HistoryCompacted)]
    return event


def asked(request: ModelRequest) -> list[str]:
    """The texts of a request."""
    return [
        part.text
        for message in request.messages
        for part in message.parts
        if part.type == "text"
    ]


def is_summary(request: ModelRequest) -> bool:
    return asked(request)[-1:] == [SUMMARY_INSTRUCTION]


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


def answered(state: ChatState) -> list[str]:
    """What the model said, without what only shows a compaction."""
    return [text for text in texts(state) if text]


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


def settled_after(before: ChatState) -> Callable[[ChatState], bool]:
    return lambda state: settled(state) and state.version > before.version + 1


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


# it fails


FAILS = ProviderError(kind="auth", message="no", status_code=401)


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        ([FAILS], "auth", "no"),
        ([Finish("stop")], "generic", "gave no summary"),
        ([TextDelta(" \n"), Finish("stop")], "generic", "gave no summary"),
        ([Finish("content_filter")], "content_filter", "gave no summary"),
    ],
    ids=["refused", "nothing", "blank", "filtered"],
)
@pytest.mark.parametrize("manual", [False, True], ids=["automatic", "manual"])
async def test_one_that_fails_ends_the_turn_and_says_so(
    stack: Stack, watch: Watch, said: Said, kind: str, message: str, manual: bool
) -> None:
    provider, metrics = Speaks(answers("hi", 900), said), Metrics()
    async with hand(stack, models=board(provider), metrics=metrics):
        chat = await ChatByHand.create(stack)
        await watch.until(chat.id, rests)
        async with stack.follow(chat.id, after="now") as client:
            await (compact(stack, chat) if manual else chat.send("next"))
            await client.until(lambda c: bool(c.named("turn_finished")))
        state = await watch.until(chat.id, rests)
    assert state.status is Status.ERROR
    assert state.last_error is not None
    assert state.last_error.kind == kind
    assert message in state.last_error.message
    assert (state.summaries, state.compaction) == ((), None)
    call, result = await said_live(stack, chat)
    assert call["tool_call_id"] == result["tool_call_id"]
    assert result["is_error"]
    assert message in result["result"]["error"]
    assert client.named("preview_reset"), "nothing is left on the screen"
    assert counted(metrics.registry, result="error") == 1


async def said_live(stack: Stack, chat: ChatByHand) -> list[dict[str, Any]]:
    """The parts of the newest attempt; followers may see the turn's end before."""
    events = await history(stack, chat.id)
    newest = [e for e in events if isinstance(e, GenerationAttemptStarted)][-1]
    async with stack.pool.connection() as connection:
        parts = await read_episode(connection, chat.id, newest.epoch, newest.attempt)
    return [part.data["part"] for part in parts]


def counted(registry: CollectorRegistry, **labels: str) -> float:
    pair = {"provider": "speaks", "model": "m1"}
    return registry.get_sample_value("parley_compaction_total", pair | labels) or 0.0


async def test_what_may_pass_is_tried_again(stack: Stack, watch: Watch) -> None:
    silent = ProviderError("stream_silence_timeout", "silent", retryable=True)
    provider = Speaks(
        answers("hi", 900), [TextDelta("half"), silent], sums_up(), answers("noon")
    )
    metrics = Metrics()
    async with hand(stack, models=board(provider), metrics=metrics):
        chat = await ChatByHand.create(stack)
        await watch.until(chat.id, rests)
        await chat.send("next")
        state = await watch.until(chat.id, settled_after(await chat.state()))
    assert answered(state) == ["hi", "noon"]
    events = await history(stack, chat.id)
    attempts = [
        event.attempt
        for event in events
        if isinstance(event, GenerationAttemptStarted) and event.kind == "compaction"
    ]
    assert attempts == [1, 2]
    assert types(events).count("retry_scheduled") == 1
    assert counted(metrics.registry, result="timeout") == 1
    assert counted(metrics.registry, result="success") == 1
    assert state.summaries == ((await compacted(stack, chat)).summary_id,)
    assert SUMMARY in asked(provider.requests[-1])[0]


# somebody asked for it


async def test_a_chat_at_rest_rests_again(stack: Stack, watch: Watch) -> None:
    provider = Speaks(answers("hi"), sums_up(), answers("so"))
    async with hand(stack, models=Switchboard(a_model(provider))):
        chat = await ChatByHand.create(stack)
        await watch.until(chat.id, rests)
        await compact(stack, chat)
        state = await watch.until(chat.id, rests)
        event = await compacted(stack, chat)
        assert (state.status, state.turn_id) == (Status.WAITING, None)
        assert state.compaction is None
        await chat.send("next")
        state = await watch.until(chat.id, settled_after(state))
    assert (event.source, event.threshold_percent) == ("manual", None)
    assert asked(provider.requests[-1]) == [f"{SUMMARY_PREFIX}\n\n{SUMMARY}", "next"]
    assert answered(state) == ["hi", "so"]


async def test_what_waits_in_the_queue_comes_next(stack: Stack, watch: Watch) -> None:
    provider = InTurn(Speaks(answers("hi")), gated := Gated(), Speaks(answers("so")))
    async with hand(stack, models=Switchboard(a_model(provider))):
        chat = await ChatByHand.create(stack)
        await watch.until(chat.id, rests)
        await compact(stack, chat)
        await gated.asked.wait()
        await chat.send("next")
        gated.gate.set()
        state = await watch.until(chat.id, lambda s: settled(s) and not s.compaction)
    assert texts(state, "user")[-1] == "next"
    assert answered(state) == ["hi", "so"]
    assert len(state.summaries) == 1


# it is cut off


@pytest.mark.parametrize("manual", [False, True], ids=["automatic", "manual"])
async def test_an_interrupt_keeps_nothing_of_it(
    stack: Stack, watch: Watch, manual: bool
) -> None:
    hangs = Hangs(TextDelta("half a summary"))
    provider = InTurn(Speaks(answers("hi", 900)), hangs, Speaks(sums_up()))
    async with hand(stack, models=board(provider)):
        chat = await ChatByHand.create(stack)
        await watch.until(chat.id, rests)
        await (compact(stack, chat) if manual else chat.send("next"))
        await hangs.asked.wait()
        await chat.interrupt()
        state = await watch.until(chat.id, rests, timeout=1.0)
        await hangs.closed.wait()
    assert (state.status, state.compaction) == (Status.WAITING, None)
    assert answered(state) == ["hi"]
    assert state.summaries == ()
    assert [m.role for m in state.messages].count("tool") == 0
    assert types(await history(stack, chat.id))[-1] == "interruption_finished"


async def test_an_edit_ends_it_and_begins_anew(stack: Stack, watch: Watch) -> None:
    hangs = Hangs()
    provider = InTurn(Speaks(answers("hi", 900)), hangs, Speaks(answers("so")))
    async with hand(stack, models=board(provider)):
        chat = await ChatByHand.create(stack)
        await watch.until(chat.id, rests)
        await chat.send("next")
        await hangs.asked.wait()
        (first, *_) = (await chat.state()).messages
        edit = EditMessage(
            now=stack.now(),
            sender_id=OWNER,
            message_id=first.id,
            parts=(TextPart(text="better"),),
        )
        await chat.execute(edit)
        state = await watch.until(chat.id, rests)
    assert texts(state, "user") == ["better"]
    assert answered(state) == ["so"]
    assert state.summaries == ()


async def test_another_worker_goes_on_after_a_dead_one(
    stack: Stack, watch: Watch, database: Database
) -> None:
    """Killed between the summary and its commit: it is written again."""
    halting = Halting(stack, CommitCompaction)
    async with (
        Stack(database, stack.guard) as other,
        hand(
            stack,
            "dead",
            models=board(Speaks(answers("hi", 900), sums_up("lost"))),
            chats=halting,
            lease_s=1.0,
        ) as dead,
    ):
        chat = await ChatByHand.create(stack)
        await watch.until(chat.id, rests)
        await chat.send("next")
        await halting.halted.wait()
        await dead.die()
        provider = Speaks(sums_up(), answers("so"))
        async with hand(other, "alive", models=board(provider), lease_s=1.0):
            state = await watch.until(chat.id, settled_after(await chat.state()))
    assert answered(state) == ["hi", "so"]
    assert len(state.summaries) == 1
    assert asked(provider.requests[-1])[0].endswith(SUMMARY)


async def test_calls_of_the_client_are_answered_before(
    stack: Stack, watch: Watch
) -> None:
    provider = Speaks([*ASKING[:-1], used(900), ASKING[-1]], sums_up(), answers("so"))
    async with hand(stack, models=board(provider)):
        chat = await chat_with_client(stack)
        await watch.until(chat.id, asks)
        await submit(stack, chat, c1="because")
        state = await watch.until(chat.id, rests)
    assert texts(state)[-1] == "so"
    assert len(state.summaries) == 1
    assert is_summary(provider.requests[1])


async def test_only_one_chat_waits_for_its_summary(stack: Stack, watch: Watch) -> None:
    """A worker goes on with other chats meanwhile."""
    gated = Gated()
    provider = InTurn(Speaks(answers("hi", 900)), gated, Speaks(answers("so")))
    async with hand(stack, models=board(provider)):
        chat = await ChatByHand.create(stack)
        await watch.until(chat.id, rests)
        await chat.send("next")
        await gated.asked.wait()
        other = await ChatByHand.create(stack)
        assert texts(await watch.until(other.id, rests)) == ["so"]
        gated.gate.set()
        async with asyncio.timeout(5.0):
            await watch.until(chat.id, lambda s: bool(s.summaries))


def test_the_model_of_these_tests_names_no_chats() -> None:
    model: Model = a_model(Speaks(answers("x")))
    assert not model.names_chats
