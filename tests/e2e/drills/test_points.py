"""The worker that holds a chat is killed, or frozen, at each kind of its events.

The point is seen from the outside: as soon as the raw feed of the chat shows an event,
the process that appended it, or that has to go on from it, gets its signal.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from service.client import following
from service.client.shapes import Chat
from tests.e2e.drills.conftest import Drill, with_client_tools
from tests.e2e.drills.fleet import Member, frozen
from tests.e2e.drills.follower import PATIENCE_S, Follower
from tests.e2e.drills.verdict import assert_log, shown

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

Then = Callable[[Drill, Chat], Awaitable[object]]


async def nothing(_drill: Drill, _chat: Chat) -> None: ...


async def interrupt(drill: Drill, chat: Chat) -> None:
    await drill.client.interrupt(chat)


async def say_more(drill: Drill, chat: Chat) -> None:
    await drill.client.send(chat, "count 5")


async def say_now(drill: Drill, chat: Chat) -> None:
    await drill.client.send(chat, "count 5", busy_behavior="interrupt")


async def edit(drill: Drill, chat: Chat) -> None:
    await drill.client.edit(chat, 2, "count 5")


@dataclass(frozen=True)
class Point:
    """Say `text`, do `then` once the model speaks, and strike after event `at`."""

    text: str
    at: str
    then: Then = nothing
    of_tools: bool = False


STEPS, LONG = "what time is it?", "count 100"
POINTS = [
    *(Point(STEPS, at) for at in (
        "run_acquired", "generation_attempt_started", "step_committed",
        "turn_finished",
    )),
    Point(LONG, "interrupt_requested", interrupt),
    Point(LONG, "interruption_finished", interrupt),
    Point(LONG, "message_queued", say_more),
    Point(LONG, "interruption_finished", say_now),
    Point(LONG, "history_truncated", edit),
    *(Point(STEPS, at, of_tools=True) for at in (
        "action_required", "tool_results_submitted",
    )),
]  # fmt: skip


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_another_worker_goes_on_from_each_point(drill: Drill, how: str) -> None:
    await drill.talk(1)
    async with drill.under_load() as progress:
        await progress.more(1)
    for point in POINTS:
        async with asyncio.timeout(2 * PATIENCE_S):
            await _strike(drill, point, how)
    await assert_log(drill.fleet, drill.database)


async def _strike(drill: Drill, point: Point, how: str) -> None:
    chat = await _begin(drill, point)
    follower = Follower(drill.client, chat, after="0")
    answering = asyncio.create_task(_answer(drill, chat, follower))
    try:
        holder = await _reached(drill, chat, follower, point)
        member = drill.fleet.holder(holder)
        strike = frozen(member) if how == "freeze" else killed(drill, member)
        async with strike:
            await follower.until(lambda: follower.view.status == "waiting")
        await _assert_whole(drill, chat, follower, holder)
    finally:
        answering.cancel()
        await asyncio.wait([answering])
        await follower.stop()


@asynccontextmanager
async def killed(drill: Drill, member: Member) -> AsyncIterator[None]:
    """Kill it; another one is there when the block is entered."""
    await drill.fleet.replace(member, signal.SIGKILL)
    yield


async def _begin(drill: Drill, point: Point) -> Chat:
    if not point.of_tools:
        return await drill.client.create(point.text)
    made = await with_client_tools(drill.database, drill.talks[0].chat)
    return await drill.client.get(made)


async def _reached(drill: Drill, chat: Chat, follower: Follower, point: Point) -> str:
    """Wait for the event; gives the name of the worker that holds the chat then."""
    holder, acting = "", None
    async with aclosing(_events(drill, chat)) as events:
        async for event in events:
            if event["type"] == "run_acquired":
                holder = event["data"]["worker"]
                if acting is None:
                    acting = asyncio.create_task(_act(drill, chat, follower, point))
            if holder and event["type"] == point.at:
                break
    assert acting is not None
    await acting
    return holder


async def _act(drill: Drill, chat: Chat, follower: Follower, point: Point) -> None:
    await follower.until(lambda: follower.view.preview or follower.view.turns)
    await point.then(drill, chat)


async def _answer(drill: Drill, chat: Chat, follower: Follower) -> None:
    await follower.until(lambda: follower.view.action is not None)
    assert follower.view.action is not None
    calls = follower.view.action["tool_calls"]
    told = {"now": "noon", "timezone": "UTC"}
    await drill.client.submit_tool_results(
        chat, [{"tool_call_id": c["tool_call_id"], "output": told} for c in calls]
    )


async def _events(drill: Drill, chat: Chat) -> AsyncGenerator[dict[str, Any], None]:
    path = f"/api/v1/chats/{chat['id']}/events"
    async with aclosing(following.follow(drill.client._http, path)) as frames:
        async for frame in frames:
            if frame.name == "event":
                yield frame.data


async def _assert_whole(
    drill: Drill, chat: Chat, follower: Follower, struck: str
) -> None:
    """Each frame once; nothing by the worker that was struck once it was replaced."""
    replay = Follower(drill.client, chat, after="0")
    await replay.until(lambda: replay.view.caught_up)
    await replay.stop()
    assert follower.of_log == replay.of_log
    assert shown(follower.view) == shown(replay.view)
    fenced = False
    async for event in drill.client.events(chat):
        by = event["metadata"]["actor"]
        if event["type"] == "run_acquired":
            fenced = fenced or event["data"]["worker"] != struck
        assert not (fenced and by == f"worker:{struck}"), event
