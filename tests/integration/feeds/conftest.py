"""The API of `tests.integration.api`, and a projector that a test may start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import httpx2
import pytest

from projections.registry import PROJECTIONS
from projections.runner import ProjectionRunner
from service.subscription.wakeup import Wakeup
from tests.fixtures.stack import Client
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


@asynccontextmanager
async def following(api: Api, path: str, **headers: str) -> AsyncIterator[Client]:
    """A stream over HTTP, parsed as it comes."""
    client = Client()
    async with api.http.stream(
        "GET", path, headers={"accept": "text/event-stream", **headers}
    ) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        pumping = asyncio.create_task(_pump(answer, client))
        try:
            yield client
        finally:
            pumping.cancel()
            with suppress(asyncio.CancelledError):
                await pumping


def seen(event: str, count: int = 1) -> Callable[[Client], bool]:
    """Whether a client has so many frames of this name."""
    return lambda client: len(client.named(event)) >= count


async def _pump(answer: httpx2.Response, client: Client) -> None:
    async for chunk in answer.aiter_bytes():
        assert b"\r" not in chunk
        await client.send({"body": chunk})
    client.end()
