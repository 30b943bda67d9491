"""Whole turns of a worker with a vendor's model: steps, live parts, stops, failures."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service import wire
from service.domain.chat.state import Status
from service.domain.events.chat import RetryScheduled
from service.domain.parts import ReasoningPart, ToolCallPart, ToolResultPart
from tests.fixtures import moves
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.lines import Line, line
from tests.fixtures.stack import Stack
from tests.fixtures.wires import MODELS, SERVERS
from tests.integration.agent.crew import Watch, hand, history, rests, texts, types

ANSWER = ("It ", "is noon.")


def plays_a_turn(opened: Line) -> None:
    """Reasoning, text, a call of the clock; then a text."""
    opened.server.answer(
        moves.Think(("What time ", "is it?")),
        moves.Say(("I ask ", "the clock.")),
        moves.Call("call_7", "clock", ('{"timez', 'one": "U', 'TC"}')),
        moves.Finish("tool_calls", moves.Tokens(input=9, output=4, cache_read=5)),
    )
    opened.server.answer(moves.Say(ANSWER), moves.Finish())


def parts_of(frames: list[Any], kind: str) -> list[dict[str, Any]]:
    parts = [frame.data["part"] for frame in frames]
    return [part for part in parts if part["type"] == kind]


async def test_a_turn_of_two_steps(stack: Stack, either: Line) -> None:
    plays_a_turn(either)
    async with hand(stack, models=either.models):
        chat = await ChatByHand.create(stack, "what time is it?")
        state = await Watch(stack).until(chat.id, rests)
    assert types(await history(stack, chat.id))[2:] == [
        "run_acquired",
        *["generation_attempt_started", "message_appended", "step_committed"] * 3,
        "turn_finished",
    ]
    reasoning, said, call = state.messages[1].parts
    assert isinstance(reasoning, ReasoningPart)
    assert reasoning.text == "What time is it?"
    assert reasoning.provider_metadata is not None
    assert said.type == "text"
    assert isinstance(call, ToolCallPart)
    assert call.args == {"timezone": "UTC"}
    (result,) = state.messages[2].parts
    assert isinstance(result, ToolResultPart)
    assert not result.is_error
    assert texts(state)[-1] == "It is noon."
    # the second request told the whole step back, and nothing was wrong with it
    assert either.server.refused == []
    _, second = either.server.requests
    assert wire.loads(second.results[-1])["timezone"] == "UTC"


async def test_usage_and_ends_are_stored_with_each_step(
    stack: Stack, either: Line
) -> None:
    plays_a_turn(either)
    async with hand(stack, models=either.models):
        chat = await ChatByHand.create(stack, "what time is it?")
        await Watch(stack).until(chat.id, rests)
    events = await history(stack, chat.id)
    steps = [event for event in events if event.type == "step_committed"]
    assert [step.finish_reason for step in steps] == ["tool_calls", None, "stop"]
    usage = steps[0].usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (9, 4)
    assert usage.cache_read_tokens == 5


async def test_followers_see_what_comes_and_nothing_internal(
    stack: Stack, either: Line
) -> None:
    plays_a_turn(either)
    gate = moves.Wait()
    first = either.server.answers[0]
    assert not isinstance(first, moves.Refuse)
    # held before its end, so that no preview is overtaken by its message
    either.server.answers[0] = (*first[:-1], gate, first[-1])
    async with hand(stack, models=either.models):
        chat = await ChatByHand.create(stack, "what time is it?")
        async with stack.follow(chat.id, after="0") as client:
            await client.until(
                lambda c: "".join(
                    part.get("args_delta", "")
                    for part in parts_of(c.named("message_part"), "tool-call")
                ).endswith("}")
            )
            gate.until.set()
            await client.until(lambda c: bool(c.named("turn_finished")))
    parts = client.named("message_part")
    for kind, said in (
        ("reasoning", "What time is it?"),
        ("text", "I ask the clock."),
    ):
        shown = "".join(part["text"] for part in parts_of(parts, kind))
        assert shown.startswith(said)
    everything = wire.dumps([frame.data for frame in client.frames]).decode()
    assert "provider_metadata" not in everything
    assert "signature" not in everything


async def test_an_interrupt_closes_the_connection_and_keeps_what_was_said(
    stack: Stack, either: Line
) -> None:
    either.server.answer(
        moves.Think(("Hm.",)), moves.Say(("one", " two")), moves.Wait(), moves.Finish()
    )
    async with hand(stack, models=either.models):
        chat = await ChatByHand.create(stack, "count")
        async with stack.follow(chat.id, after="0") as client:
            await client.until(
                lambda c: bool(parts_of(c.named("message_part"), "text"))
            )
        await chat.interrupt()
        state = await Watch(stack).until(chat.id, rests)
        async with asyncio.timeout(5):
            await either.server.left.wait()
        assert texts(state)[0].startswith("one")
        assert "one two".startswith(texts(state)[0])
        # and the chat goes on with it
        await chat.send("count 3")
        state = await Watch(stack).until(
            chat.id, lambda s: rests(s) and len(texts(s)) == 2
        )
    assert texts(state)[1] == "1 2 3"
    assert either.server.refused == []


@pytest.mark.parametrize("wire", SERVERS)
async def test_a_refused_key_fails_the_turn(stack: Stack, wire: Any) -> None:
    async with (
        line(wire, key="sk-wrong-0123456789") as opened,
        hand(stack, models=opened.models),
    ):
        chat = await ChatByHand.create(stack)
        state = await Watch(stack).until(chat.id, rests)
    error = state.last_error
    assert error is not None
    assert (error.kind, error.status_code, error.retryable) == ("auth", 401, False)
    assert error.provider == opened.provider.name
    assert error.detail is not None
    assert "wrong" not in str(error)


async def test_a_broken_connection_fails_the_attempt_whole_and_it_is_asked_again(
    stack: Stack, either: Line
) -> None:
    either.server.answer(moves.Say(("half an",)), moves.Drop())
    async with hand(stack, models=either.models):
        chat = await ChatByHand.create(stack, "count 2")
        state = await Watch(stack).until(chat.id, rests)
    assert state.status is Status.WAITING
    assert texts(state) == ["1 2"], "half an answer is none"
    failures = [
        (event.error.kind, event.error.retryable)
        for event in await history(stack, chat.id)
        if isinstance(event, RetryScheduled)
    ]
    assert failures == [("timeout", True)]


async def test_many_chats_share_a_client(stack: Stack, either: Line) -> None:
    async with hand(stack, models=either.models):
        chats = [await ChatByHand.create(stack, f"count {n}") for n in range(1, 21)]
        for number, chat in enumerate(chats, 1):
            state = await Watch(stack).until(chat.id, rests)
            assert texts(state)[0].endswith(str(number))
    assert {r.body["model"] for r in either.server.requests} <= set(MODELS.values())
