"""Tasks that outlive a turn, and not their worker."""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID

import pytest

from service.agent.background import Background

CHAT = UUID(int=1)


async def _fails() -> None:
    raise ZeroDivisionError


async def _waits(for_it: asyncio.Event) -> None:
    await for_it.wait()


async def test_a_task_is_there_until_it_ends() -> None:
    background, end = Background(), asyncio.Event()
    task = asyncio.create_task(_waits(end))
    background.keep(CHAT, task)
    assert CHAT in background
    end.set()
    await task
    await asyncio.sleep(0)
    assert CHAT not in background


async def test_the_end_of_a_worker_ends_its_tasks() -> None:
    background = Background()
    task = asyncio.create_task(_waits(asyncio.Event()))
    background.keep(CHAT, task)
    await background.close()
    assert task.cancelled()
    assert CHAT not in background
    await background.close()


async def test_a_task_that_fails_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    background = Background()
    with caplog.at_level(logging.ERROR):
        task = asyncio.create_task(_fails(), name="naming")
        background.keep(CHAT, task)
        await asyncio.wait([task])
        await asyncio.sleep(0)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
