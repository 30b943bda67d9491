"""Compactions that fail, that somebody asked for, or that are cut off."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from service.db.pool import Database
from service.domain.chat.state import Status
from service.domain.commands.chat import (
    CommitCompaction,
    EditMessage,
)
from service.domain.events.chat import (
    GenerationAttemptStarted,
)
from service.domain.parts import TextPart
from service.domain.prompts import SUMMARY_PREFIX
from service.live.read import read_episode
from service.metrics import Metrics
from service.providers.models import Model
from service.providers.provider import (
    Finish,
    ProviderError,
    TextDelta,
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
from tests.integration.agent.summing import (
    SUMMARY,
    Said,
    answered,
    answers,
    asked,
    board,
    compact,
    compacted,
    is_summary,
    settled,
    settled_after,
    sums_up,
)

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
