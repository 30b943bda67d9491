"""A cancellation that comes together with a result is not lost."""

from __future__ import annotations

import asyncio

import pytest

from service.db.cancel import honour_cancellation


async def test_a_swallowed_cancellation_is_raised_again() -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    swallowed = False

    async def work() -> None:
        nonlocal swallowed
        try:
            await ready
        except asyncio.CancelledError:
            swallowed = True
        honour_cancellation()
        raise AssertionError("it went on")

    task = asyncio.create_task(work())
    await asyncio.wait((task,), timeout=0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert swallowed


async def test_a_task_that_nobody_cancelled_goes_on() -> None:
    honour_cancellation()


async def test_a_timeout_that_was_handled_does_not_count() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
    honour_cancellation()
