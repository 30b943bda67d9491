"""Two requests at once, in every order that matters: one is overtaken at each step.

A step is whatever a request waits for: a page of the log, a look for its key, its
append. Before step n of the one the other happens from beginning to end, in another
process; for every n, with and without a cache that was right until then, and with the
roles swapped. And both at once in one process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import Context, ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import pytest

from service.errors import KeyReused, Rejection
from service.eventstore import store
from service.eventstore.appender import Appender
from service.eventstore.handle import Chats, Handled
from tests.integration.eventstore.appends import PATIENCE_S

S = TypeVar("S")

Scene = Callable[[Chats], Awaitable[S]]
Doing = Callable[[Chats, S], Awaitable[Handled]]

STEPS = ("read_stream", "find_request")


@dataclass
class Steps:
    """Of one request; before step `at`, from 1, the rival gets its way."""

    at: int
    rival: Callable[[], Awaitable[str]]
    passed: int = 0
    rivals_outcome: str | None = None

    async def step(self) -> None:
        self.passed += 1
        if self.passed == self.at:
            await self.overtake()

    async def overtake(self) -> None:
        # a task with a context of its own: it is no step of ours, and holds nothing
        self.rivals_outcome = await asyncio.create_task(
            _as_coroutine(self.rival), context=Context()
        )


_steps: ContextVar[Steps | None] = ContextVar("steps", default=None)


@pytest.fixture
def stepped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests of this test can be overtaken."""

    def patch(owner: object, name: str) -> None:
        original = getattr(owner, name)

        async def stopping(*args: Any, **kwargs: Any) -> Any:
            if (steps := _steps.get()) is not None:
                await steps.step()
            return await original(*args, **kwargs)

        monkeypatch.setattr(owner, name, stopping)

    for name in STEPS:
        patch(store, name)
    patch(Appender, "append")


async def outcome_of(work: Awaitable[Handled]) -> str:
    """`appended`, `duplicate`, or why it was rejected."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return (await work).outcome
    except KeyReused:
        return "key-reused"
    except Rejection as rejection:
        return rejection.code


async def every_race(
    processes: tuple[Chats, Chats], scene: Scene[S], one: Doing[S], other: Doing[S]
) -> AsyncIterator[tuple[S, str, str]]:
    """Each scene, and the outcomes of `one` and `other` on it."""
    for warm in (True, False):
        async for made, slow, rival in _overtaken(processes, scene, one, other, warm):
            yield made, slow, rival
        async for made, slow, rival in _overtaken(processes, scene, other, one, warm):
            yield made, rival, slow
    for first in (True, False):
        made = await scene(processes[0])
        works = [outcome_of(doing(processes[0], made)) for doing in (one, other)]
        outcomes = await asyncio.gather(*(works if first else reversed(works)))
        yield made, *(outcomes if first else reversed(outcomes))


async def _overtaken(
    processes: tuple[Chats, Chats],
    scene: Scene[S],
    slow: Doing[S],
    rival: Doing[S],
    warm: bool,
) -> AsyncIterator[tuple[S, str, str]]:
    ours, theirs = processes
    at, seen = 1, 0
    while at <= seen + 1:
        made = await scene(ours)
        if not warm:
            ours.forget_all()
        theirs.forget_all()
        steps = Steps(at, partial(_do, rival, theirs, made))
        outcome = await _stepwise(steps, slow(ours, made))
        seen = max(seen, steps.passed)
        if steps.rivals_outcome is None:
            # past the last step: it comes when the other is done
            await steps.overtake()
            seen = 0
        yield made, outcome, steps.rivals_outcome or ""
        at += 1


async def _stepwise(steps: Steps, work: Awaitable[Handled]) -> str:
    token = _steps.set(steps)
    try:
        return await outcome_of(work)
    finally:
        _steps.reset(token)


async def _do(doing: Doing[S], chats: Chats, made: S) -> str:
    return await outcome_of(doing(chats, made))


async def _as_coroutine(rival: Callable[[], Awaitable[str]]) -> str:
    return await rival()
