"""Whoever stops listening has stopped the call: no socket and no task stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from service.providers.provider import (
    Opened,
    ProviderError,
    ReasoningDelta,
    TextDelta,
    ToolInputDelta,
)
from tests.builders import user
from tests.fixtures.lines import Line
from tests.fixtures.moves import (
    Answer,
    Call,
    Drop,
    Move,
    Mute,
    Raw,
    Refuse,
    Say,
    Think,
    Wait,
)
from tests.fixtures.moves import (
    Finish as Ends,
)

PATIENCE_S = 20.0
AT_ONCE_S = 5.0
"""For a connection to close on a busy machine; nothing waits for a clock."""


@asynccontextmanager
async def nothing_left(opened: Line) -> AsyncIterator[None]:
    """No task more than before; of connections only those that serve again."""
    before = asyncio.all_tasks()
    yield
    async with asyncio.timeout(PATIENCE_S):
        # the server's own end on the same signal, a turn of the loop later
        while left := _ours(asyncio.all_tasks() - before):
            await asyncio.wait(left)


def _ours(tasks: set[asyncio.Task[object]]) -> set[asyncio.Task[object]]:
    """Not those of the server, which serve connections that are kept."""
    return {task for task in tasks if "_connected" not in repr(task.get_coro())}


STOPS: dict[str, tuple[tuple[Move, ...], type]] = {
    "at-the-start": ((), Opened),
    "while-it-thinks": ((Think(("hm",)),), ReasoningDelta),
    "while-it-speaks": ((Say(("x",)),), TextDelta),
    "while-it-calls": ((Call("c", "clock", ("{}",)),), ToolInputDelta),
}
"""What is said before the vendor waits, and what of it a reader waits for."""


@pytest.mark.parametrize("how", ["close", "cancel"])
@pytest.mark.parametrize("where", STOPS)
async def test_stopping_ends_the_connection_at_once(
    opened: Line, where: str, how: str
) -> None:
    said, until = STOPS[where]
    opened.server.answer(*said, Wait(), Ends())
    reached = asyncio.Event()

    async def read() -> None:
        async with aclosing(opened.stream(user())) as deltas:
            async for delta in deltas:
                if isinstance(delta, until):
                    reached.set()
                    if how == "close":
                        return

    async with nothing_left(opened):
        async with asyncio.timeout(PATIENCE_S):
            task = asyncio.create_task(read())
            await reached.wait()
        if how == "cancel":
            task.cancel()
        async with asyncio.timeout(AT_ONCE_S):
            await asyncio.wait([task])
            await opened.server.left.wait()
        assert task.cancelled() == (how == "cancel")


async def test_cancelling_before_there_are_headers(opened: Line) -> None:
    opened.server.answers.append(Mute())
    async with nothing_left(opened):
        task = asyncio.create_task(opened.ask(user()))
        async with asyncio.timeout(PATIENCE_S):
            await opened.server.arrived.wait()
        task.cancel()
        async with asyncio.timeout(AT_ONCE_S):
            with pytest.raises(asyncio.CancelledError):
                await task
            await opened.server.left.wait()


@pytest.mark.parametrize(
    "answer",
    [
        Refuse(529, "overloaded_error", "full"),
        (Say(("x",)), Drop()),
        Raw(b"<h1>Log in</h1>"),
    ],
    ids=["refused", "broken", "something-else"],
)
async def test_failures_leave_nothing(opened: Line, answer: Answer) -> None:
    async with nothing_left(opened):
        for _ in range(5):
            opened.server.answers.append(answer)
            with pytest.raises(ProviderError):
                await opened.ask(user())
        await opened.ask(user("count 2"))
    assert opened.server.connected <= 1


async def test_answers_leave_one_connection_that_serves_again(opened: Line) -> None:
    async with nothing_left(opened):
        for _ in range(5):
            await opened.ask(user("count 3"))
    assert opened.server.connections == opened.server.connected == 1


async def test_many_that_stop_leave_nothing(opened: Line) -> None:
    async def begin() -> None:
        async with aclosing(opened.stream(user())) as deltas:
            async for delta in deltas:
                if isinstance(delta, TextDelta):
                    return

    count = 20
    for _ in range(count):
        opened.server.answer(Say(("x",)), Wait(), Ends())
    async with nothing_left(opened), asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(begin() for _ in range(count)))
        while opened.server.connected:
            await asyncio.wait(opened.server.serving)
    assert opened.server.connections == count
