"""Models that fall silent, or whose server gives up: asked again, their words gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from service.providers.provider import (
    Delta,
    ModelRequest,
    Opened,
    TextDelta,
)
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.handclock import HandClock
from tests.fixtures.stack import Stack
from tests.integration.agent.crew import (
    Hangs,
    Speaks,
    Watch,
    hand,
    history,
    rests,
    says,
    texts,
    types,
)

# a silent model


async def test_a_model_that_does_not_begin_is_asked_again(
    stack: Stack, watch: Watch
) -> None:
    clock, hangs = HandClock(), Hangs()
    async with hand(
        stack, provider=FirstThen(hangs, Speaks(says("so"))), silence_clock=clock
    ):
        chat = await ChatByHand.create(stack)
        await hangs.asked.wait()
        await clock.sleeper()
        clock.advance(60.0)
        await hangs.closed.wait()
        state = await watch.until(chat.id, rests)
    assert texts(state) == ["so"]
    assert types(await history(stack, chat.id)).count("retry_scheduled") == 1


async def test_a_model_that_stops_is_asked_again_and_its_words_are_gone(
    stack: Stack, watch: Watch
) -> None:
    clock, hangs = HandClock(), Hangs(Opened(), TextDelta("hal"))
    async with hand(
        stack, provider=FirstThen(hangs, Speaks(says("so"))), silence_clock=clock
    ):
        chat = await ChatByHand.create(stack)
        async with stack.follow(chat.id, after="0") as client:
            await client.until(lambda c: bool(c.named("message_part")))
            clock.advance(599.0)
            await clock.sleeper()
            assert not hangs.closed.is_set()
            clock.advance(1.0)
            await client.until(lambda c: bool(c.named("turn_finished")))
    names = [frame.event for frame in client.frames]
    (retry,) = client.named("retry")
    assert retry.data["error"]["kind"] == "stream_silence_timeout"
    assert retry.data["error"]["retryable"]
    assert {"attempt", "delay_ms", "retrying_at"} <= retry.data.keys()
    assert names.index("message_part") < names.index("preview_reset")
    assert names.index("preview_reset") < names.index("retry")
    state = await watch.until(chat.id, rests)
    assert texts(state) == ["so"]


async def test_a_call_that_its_server_cancels_is_made_again(
    stack: Stack, watch: Watch
) -> None:
    """It looks like a cancellation of ours, and is none."""
    provider = FirstThen(Cancels(), Speaks(says("so")))
    async with hand(stack, provider=provider):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    assert texts(state) == ["so"]
    assert types(await history(stack, chat.id)).count("retry_scheduled") == 1


class Cancels:
    """A server that gives a call up, told by its SDK as a cancellation."""

    name = "cancels"

    async def stream(self, _: ModelRequest) -> AsyncGenerator[Delta, None]:
        yield TextDelta("hal")
        raise asyncio.CancelledError


class FirstThen:
    """One provider for the first request, another one for all others."""

    name = "speaks"

    def __init__(self, first: Any, then: Any) -> None:
        self._next = [first, then]

    def stream(self, request: ModelRequest) -> Any:
        one = self._next.pop(0) if len(self._next) > 1 else self._next[0]
        return one.stream(request)
