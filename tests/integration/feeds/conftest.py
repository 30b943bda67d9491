"""The API of `tests.integration.api`, and a projector that a test may start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest

from projections.registry import PROJECTIONS
from projections.runner import ProjectionRunner
from service.subscription.wakeup import Wakeup
from tests.integration.api.conftest import Api
from tests.integration.api.conftest import api as api

Projecting = Callable[[], AbstractAsyncContextManager[Wakeup]]


@pytest.fixture
def projecting(api: Api) -> Projecting:
    """Run a projector beside the API while entered; its wake-up rings as it would."""

    @asynccontextmanager
    async def run() -> AsyncIterator[Wakeup]:
        wakeup = Wakeup()
        api.stack.tail.subscribe(lambda _: wakeup.ring())
        runner = ProjectionRunner(
            api.stack.database, PROJECTIONS, wakeup, poll_interval_s=60
        )
        task = asyncio.create_task(runner.run())
        try:
            yield wakeup
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return run
