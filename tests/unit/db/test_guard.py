"""The guard: what a task may not do while it holds a connection."""

from __future__ import annotations

import asyncio

import pytest

from service.db.guard import Guard
from service.errors import HeldConnection


def test_check_passes_while_nothing_is_held() -> None:
    guard = Guard("raise")
    guard.check("calling a model")
    with guard.holding("a connection"):
        pass
    guard.check("calling a model")
    assert guard.violations == 0


def test_slow_call_while_holding_raises_and_names_both() -> None:
    guard = Guard("raise")
    with guard.holding("a connection"), pytest.raises(HeldConnection) as caught:
        guard.check("calling a model")
    assert str(caught.value) == (
        "calling a model while holding a connection; release it first"
    )
    assert guard.violations == 1


def test_counting_guard_goes_on_and_tells(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard("count")
    with guard.holding("a connection"), guard.holding("another"):
        pass
    assert guard.violations == 1
    (record,) = caplog.records
    assert (record.action, record.held) == ("taking another", "a connection")  # type: ignore[attr-defined]


async def test_other_tasks_are_free() -> None:
    """What one task holds is nothing to a task that began before."""
    guard = Guard("raise")
    held, checked = asyncio.Event(), asyncio.Event()

    async def holder() -> None:
        with guard.holding("a connection"):
            held.set()
            await checked.wait()

    async def other() -> None:
        await held.wait()
        guard.check("calling a model")
        checked.set()

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(holder())
        group.create_task(other())


async def test_task_begun_inside_holds_too() -> None:
    """Whoever holds a connection and waits for a task of its own waits through it."""
    guard = Guard("raise")

    async def slow() -> None:
        guard.check("calling a model")

    with guard.holding("a connection"), pytest.raises(HeldConnection):
        await asyncio.create_task(slow())
