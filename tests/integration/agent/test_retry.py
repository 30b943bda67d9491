"""A model that fails in a way that may pass is asked again; every pause is in the log.

The pauses here are milliseconds, or have no end but the one that the test is about.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from service.agent.retry import RetryPolicy
from service.agent.runner import Outcome
from service.db.pool import Database
from service.domain.chat.state import ChatState, Status
from service.domain.commands.chat import EditMessage
from service.domain.events.chat import (
    GenerationAttemptStarted,
    RetryScheduled,
    RunAbandoned,
    RunAcquired,
)
from service.domain.parts import TextPart
from service.providers.provider import Delta, Finish, ProviderError, TextDelta
from tests.builders import OWNER
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Stack
from tests.integration.agent.crew import (
    Gated,
    Hand,
    Speaks,
    Watch,
    hand,
    history,
    rests,
    texts,
    types,
)

NEVER = RetryPolicy(first_s=3600.0, longest_s=3600.0)
LEASE_S = 1.0
SO: list[Delta | Exception] = [TextDelta("so"), Finish("stop")]


def overloaded(**fields: object) -> ProviderError:
    return ProviderError(
        kind="overloaded",
        message="too many ask",
        retryable=True,
        status_code=529,
        **fields,  # type: ignore[arg-type]
    )


def pauses(state: ChatState) -> bool:
    return state.retry is not None


async def left(hand: Hand, chat: ChatByHand) -> Outcome:
    fired = await hand.worker.signals.left.wait(lambda fired: fired[0] == chat.id)
    return fired[1]


async def scheduled(stack: Stack, chat: ChatByHand) -> list[RetryScheduled]:
    events = await history(stack, chat.id)
    return [event for event in events if isinstance(event, RetryScheduled)]


async def test_it_is_asked_again_and_nothing_of_the_failed_attempts_is_kept(
    stack: Stack, watch: Watch
) -> None:
    provider = Speaks([TextDelta("hal"), overloaded()], [overloaded()], SO)
    async with hand(stack, provider=provider):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    assert texts(state) == ["so"]
    assert state.last_error is None
    assert state.retry is None
    retries = await scheduled(stack, chat)
    assert [event.attempt for event in retries] == [1, 2]
    for event in retries:
        assert event.retrying_at - event.at == timedelta(milliseconds=event.delay_ms)
        assert event.error.kind == "overloaded"
        assert event.error.status_code == 529
        assert event.error.provider == "speaks"
        assert event.error.retryable
    events = await history(stack, chat.id)
    started = [e for e in events if isinstance(e, GenerationAttemptStarted)]
    assert [e.attempt for e in started] == [1, 2, 3]
    assert len({e.epoch for e in started}) == 1
    assert types(events).count("run_acquired") == 1


async def test_a_script_that_fails_so_often_goes_on(stack: Stack, watch: Watch) -> None:
    async with hand(stack):
        chat = await ChatByHand.create(stack, "fail 2")
        async with stack.follow(chat.id, after="0") as client:
            await client.until(lambda c: bool(c.named("turn_finished")))
        state = await watch.until(chat.id, rests)
    assert state.status is Status.WAITING
    assert texts(state)[-1] != ""
    assert [frame.data["attempt"] for frame in client.named("retry")] == [1, 2]
    names = [frame.event for frame in client.frames]
    assert "preview_reset" in names[names.index("retry") :], "the banner goes"


async def test_the_pauses_are_those_of_the_policy(stack: Stack, watch: Watch) -> None:
    async with hand(stack, provider=Speaks([overloaded()]), retry=RetryPolicy()):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, pauses)
    assert state.retry is not None
    assert (state.retry.attempt, state.retry.delay_ms) == (1, 1000)


async def test_a_vendors_own_wish_is_honoured(stack: Stack, watch: Watch) -> None:
    provider = Speaks([overloaded(retry_after_s=77.5)])
    async with hand(stack, provider=provider, retry=RetryPolicy()):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, pauses)
    assert state.retry is not None
    assert state.retry.delay_ms == 77_500


async def test_it_gives_up_after_the_last_attempt(stack: Stack, watch: Watch) -> None:
    provider = Speaks([overloaded()])
    policy = RetryPolicy(first_s=0.0001, longest_s=0.001)
    async with hand(stack, provider=provider, retry=policy):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    assert len(provider.requests) == 25
    assert len(await scheduled(stack, chat)) == 24
    assert state.status is Status.ERROR
    assert state.last_error is not None
    assert state.last_error.message == "gave up after 25 attempts: too many ask"
    assert state.last_error.kind == "overloaded"
    assert state.last_error.status_code == 529


async def test_each_step_has_its_own_attempts(stack: Stack, watch: Watch) -> None:
    provider = Speaks([overloaded()], SO, [overloaded()], SO)
    async with hand(stack, provider=provider):
        chat = await ChatByHand.create(stack)
        await watch.until(chat.id, rests)
        await chat.send("and now?")
        await watch.until(chat.id, lambda s: rests(s) and len(s.messages) == 4)
    assert [event.attempt for event in await scheduled(stack, chat)] == [1, 1]


async def test_what_cannot_pass_fails_at_once(stack: Stack, watch: Watch) -> None:
    provider = Speaks([ProviderError(kind="auth", message="no", status_code=401)])
    async with hand(stack, provider=provider):
        chat = await ChatByHand.create(stack)
        state = await watch.until(chat.id, rests)
    assert state.status is Status.ERROR
    assert len(provider.requests) == 1
    assert await scheduled(stack, chat) == []


async def test_a_pause_takes_no_slot(stack: Stack, watch: Watch) -> None:
    provider = Speaks([overloaded()], SO)
    async with hand(stack, provider=provider, retry=NEVER, slots=1) as only:
        pausing = await ChatByHand.create(stack)
        assert await left(only, pausing) is Outcome.WAITS
        other = await ChatByHand.create(stack)
        assert texts(await watch.until(other.id, rests)) == ["so"]
        assert only.worker.waiting == 1


async def test_followers_are_told_of_the_pause_and_lose_the_preview(
    stack: Stack, watch: Watch
) -> None:
    provider = Speaks([TextDelta("hal"), overloaded()], SO)
    async with hand(stack, provider=provider):
        chat = await ChatByHand.create(stack)
        async with stack.follow(chat.id, after="0") as client:
            await client.until(lambda c: bool(c.named("turn_finished")))
    (retry,) = client.named("retry")
    assert retry.data["attempt"] == 1
    assert [m.data["message"]["role"] for m in client.named("message")] == [
        "user",
        "assistant",
    ]


async def test_an_interrupt_ends_the_pause(stack: Stack, watch: Watch) -> None:
    provider = Speaks([TextDelta("hal"), overloaded()])
    async with hand(stack, provider=provider, retry=NEVER) as only:
        chat = await ChatByHand.create(stack)
        assert await left(only, chat) is Outcome.WAITS
        await chat.interrupt()
        state = await watch.until(chat.id, rests, timeout=1.0)
    assert state.status is Status.WAITING
    assert state.retry is None
    assert texts(state) == [], "the failed attempt's words went with it"


async def test_a_message_that_interrupts_the_pause_is_answered(
    stack: Stack, watch: Watch
) -> None:
    async with hand(stack, provider=Speaks([overloaded()], SO), retry=NEVER) as only:
        chat = await ChatByHand.create(stack)
        assert await left(only, chat) is Outcome.WAITS
        await chat.send("never mind", busy="interrupt")
        state = await watch.until(chat.id, lambda s: rests(s) and not s.queue)
    assert texts(state) == ["so"]


async def test_an_edit_ends_the_pause_and_begins_anew(
    stack: Stack, watch: Watch
) -> None:
    provider = Speaks([overloaded()], SO)
    async with hand(stack, provider=provider, retry=NEVER) as only:
        chat = await ChatByHand.create(stack)
        assert await left(only, chat) is Outcome.WAITS
        (asked,) = (await chat.state()).messages
        edit = EditMessage(
            now=stack.now(),
            sender_id=OWNER,
            message_id=asked.id,
            parts=(TextPart(text="better"),),
        )
        await chat.execute(edit)
        state = await watch.until(chat.id, rests)
    assert texts(state, "user") == ["better"]
    assert texts(state) == ["so"]
    attempts = [
        event.attempt
        for event in await history(stack, chat.id)
        if isinstance(event, GenerationAttemptStarted)
    ]
    assert attempts == [1, 1]


async def test_a_stopping_worker_gives_the_pause_back(
    stack: Stack, watch: Watch, database: Database
) -> None:
    async with (
        Stack(database, stack.guard) as other,
        hand(stack, "first", provider=Speaks([overloaded()]), retry=NEVER) as first,
    ):
        chat = await ChatByHand.create(stack)
        assert await left(first, chat) is Outcome.WAITS
        before = (await chat.state()).retry
        async with hand(other, "second", poll_interval_s=60.0) as second:
            await first.worker.stop()
            assert await left(second, chat) is Outcome.WAITS
            state = await chat.state()
    assert state.retry == before, "it goes on being as long as it was"
    events = await history(stack, chat.id)
    assert [e.worker for e in events if isinstance(e, RunAbandoned)] == [
        "first",
        "second",
    ]
    assert [e.worker for e in events if isinstance(e, RunAcquired)] == [
        "first",
        "second",
    ]


async def test_another_worker_goes_on_after_the_pause_of_a_dead_one(
    stack: Stack, watch: Watch, database: Database
) -> None:
    pause = RetryPolicy(first_s=2 * LEASE_S)
    async with (
        Stack(database, stack.guard) as other,
        hand(
            stack,
            "dead",
            provider=Speaks([overloaded()]),
            retry=pause,
            lease_s=LEASE_S,
        ) as dead,
    ):
        chat = await ChatByHand.create(stack)
        assert await left(dead, chat) is Outcome.WAITS
        await dead.die()
        provider = Speaks(SO)
        async with hand(other, "alive", provider=provider, lease_s=LEASE_S) as alive:
            assert await left(alive, chat) is Outcome.WAITS
            assert provider.requests == [], "not before the time"
            state = await watch.until(chat.id, rests)
    assert texts(state) == ["so"]
    events = await history(stack, chat.id)
    (retry,) = [e for e in events if isinstance(e, RetryScheduled)]
    started = [e for e in events if isinstance(e, GenerationAttemptStarted)]
    assert [e.attempt for e in started] == [1, 2], "the count goes on"
    assert started[1].at >= retry.retrying_at


@pytest.mark.parametrize("retryable", [True, False], ids=["may-pass", "for-good"])
async def test_a_failure_that_an_interrupt_overtakes_is_no_failure(
    stack: Stack, watch: Watch, database: Database, retryable: bool
) -> None:
    """The worker has not heard of the interrupt; the log decides which was first."""
    fail = asyncio.Event()
    failure = ProviderError(kind="timeout", message="no", retryable=retryable)
    provider = Gated(fail, failure)
    async with (
        Stack(database, stack.guard, deaf=True, poll_interval_s=60.0) as deaf,
        hand(deaf, provider=provider, poll_interval_s=0.1),
    ):
        chat = await ChatByHand.create(stack)
        await provider.asked.wait()
        await chat.interrupt()
        fail.set()
        state = await watch.until(chat.id, rests)
    assert state.status is Status.WAITING
    assert texts(state) == ["well"]
