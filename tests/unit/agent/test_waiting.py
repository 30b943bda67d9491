"""Chats that only wait: one timer, and the clock that says when."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from service.agent.waiting import Wait, Waiting
from service.lease import Lease

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MOMENT = timedelta(milliseconds=1)


class Clock:
    """Stands still unless told."""

    def __init__(self) -> None:
        self.time = START
        self.readings = 0
        self.read_thrice = asyncio.Event()

    def __call__(self) -> datetime:
        self.readings += 1
        if self.readings == 3:
            self.read_thrice.set()
        return self.time


def wait(number: int, after: timedelta = HOUR, version: int = 5) -> Wait:
    lease = Lease(UUID(int=number), "w1", 1, 0.0)
    return Wait(lease, START + after, version)


def waiting(clock: Clock) -> tuple[Waiting, asyncio.Event]:
    due = asyncio.Event()
    return Waiting(now=clock, on_due=due.set), due


async def test_nothing_is_due_before_its_time() -> None:
    those, due = waiting(Clock())
    those.put(wait(1))
    assert UUID(int=1) in those
    assert len(those) == 1
    assert those.take() is None
    assert not due.is_set()


async def test_the_soonest_is_due_first_whenever_it_came() -> None:
    clock = Clock()
    those, due = waiting(clock)
    later, sooner = wait(1, 2 * MOMENT), wait(2, MOMENT)
    those.put(later)
    those.put(sooner)
    clock.time += 10 * MOMENT
    async with asyncio.timeout(5):
        await due.wait()
    assert [those.take(), those.take(), those.take()] == [sooner, later, None]
    assert len(those) == 0


async def test_a_timer_that_is_early_waits_for_the_rest() -> None:
    """The clock of the loop and that of the wall are two clocks."""
    clock = Clock()
    those, due = waiting(clock)
    those.put(wait(1, MOMENT))
    async with asyncio.timeout(5):
        await clock.read_thrice.wait()
    assert not due.is_set()
    clock.time += MOMENT
    async with asyncio.timeout(5):
        await due.wait()
    assert those.take() is not None


async def test_news_make_a_chat_due_and_what_was_seen_is_no_news() -> None:
    those, due = waiting(Clock())
    those.put(wait(1, version=5))
    those.news(UUID(int=1), 5)
    those.news(UUID(int=2), 9)
    assert not due.is_set()
    those.news(UUID(int=1), 6)
    assert due.is_set()
    assert UUID(int=1) in those, "until it is taken"
    those.news(UUID(int=1), 7)
    assert those.take() is not None
    assert those.take() is None
    assert UUID(int=1) not in those


async def test_what_is_urgent_is_taken_first() -> None:
    those, _ = waiting(Clock())
    for number in (1, 2, 3):
        those.put(wait(number))
        those.news(UUID(int=number), 9, urgent=number == 2)
    those.news(UUID(int=3), 10, urgent=True)
    taken = iter(those.take, None)
    assert [each.lease.chat_id.int for each in taken if each is not None] == [3, 2, 1]


async def test_a_lost_chat_waits_no_more() -> None:
    those, _ = waiting(Clock())
    lost, again = wait(1), wait(1)
    those.put(lost)
    those.drop(lost.lease)
    assert len(those) == 0
    those.put(again)
    those.drop(lost.lease)
    assert len(those) == 1, "it is another lease"


async def test_what_waits_anew_is_not_due_at_its_old_time() -> None:
    clock = Clock()
    those, due = waiting(clock)
    those.put(wait(1, MOMENT))
    those.news(UUID(int=1), 9)
    assert those.take() is not None
    due.clear()
    those.put(wait(1, HOUR, version=9))
    other = wait(2, 2 * MOMENT)
    those.put(other)
    clock.time += 10 * MOMENT
    async with asyncio.timeout(5):
        await due.wait()
    assert those.take() == other
    assert those.take() is None


async def test_clear_gives_the_leases_also_of_those_that_are_due() -> None:
    those, _ = waiting(Clock())
    first, second = wait(1), wait(2)
    those.put(first)
    those.put(second)
    those.news(UUID(int=2), 9)
    assert those.clear() == [first, second]
    assert len(those) == 0
    assert those.take() is None


async def test_ten_thousand_have_one_timer() -> None:
    loop, timers = asyncio.get_running_loop(), 0
    call_later = loop.call_later

    def counted(*args, **kwargs):  # type: ignore[no-untyped-def]
        nonlocal timers
        timers += 1
        return call_later(*args, **kwargs)

    loop.call_later = counted  # type: ignore[assignment]
    those, _ = waiting(Clock())
    for number in range(10_000):
        those.put(wait(number, HOUR + number * MOMENT))
    assert timers == 1
    assert len(those.clear()) == 10_000
