"""Stopping work from outside is not the task's own cancellation."""

from __future__ import annotations

import asyncio

import pytest

from service.agent.scope import Scope


async def test_a_stopped_block_ends_without_an_error() -> None:
    scope = Scope()
    asyncio.get_running_loop().call_soon(scope.stop)
    async with scope:
        await asyncio.Event().wait()
    assert scope.stopped


async def test_a_block_that_was_stopped_before_it_began_ends_at_its_first_await() -> (
    None
):
    scope = Scope()
    scope.stop()
    async with scope:
        await asyncio.Event().wait()
    assert scope.stopped


async def test_a_block_that_ends_by_itself_was_not_stopped() -> None:
    async with Scope() as scope:
        await asyncio.sleep(0)
    scope.stop()
    assert not scope.stopped


async def test_a_cancellation_from_outside_rises() -> None:
    scope, entered = Scope(), asyncio.Event()

    async def work() -> None:
        async with scope:
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not scope.stopped


async def test_an_error_rises() -> None:
    async def fail() -> None:
        async with Scope():
            raise LookupError

    with pytest.raises(LookupError):
        await fail()


async def test_inner_and_outer_scopes_are_told_apart() -> None:
    outer, inner = Scope(), Scope()
    asyncio.get_running_loop().call_soon(outer.stop)
    reached = False
    async with outer:
        async with inner:
            await asyncio.Event().wait()
        reached = True
    assert outer.stopped
    assert not inner.stopped
    assert not reached
