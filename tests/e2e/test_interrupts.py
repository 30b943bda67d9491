"""Interrupts that arrive at one process and are for the worker of another."""

from __future__ import annotations

import asyncio
import signal

from service.client.client import Client, Frame
from tests.e2e.conftest import Serve
from tests.e2e.test_replicas import QUICK_LEASE, TURN_S, answers, counted, on_screen

SOON_S = 1.0


async def speaking(client: Client, chat_id: str, frames: list[Frame]) -> None:
    """Follow until the model has said something."""
    async with asyncio.timeout(TURN_S):
        async for frame in client.follow(chat_id, after="0"):
            frames.append(frame)
            if sum(f.name == "message_part" for f in frames) == 5:
                return


async def ended(client: Client, chat_id: str, frames: list[Frame]) -> None:
    """Follow on, to the end of the turn."""
    async for frame in client.follow(chat_id, after=frames[-1].id):
        frames.append(frame)
        if frame.name == "turn_finished":
            return


async def test_a_turn_stops_within_a_second_wherever_its_worker_is(
    serve: Serve, on_database: dict[str, str]
) -> None:
    settings = on_database | {"scripted_rate": "30"}
    async with (
        serve("--roles", "api,projector", **settings) as one,
        serve("--roles", "api,worker", **settings) as two,
        one.client() as client,
        two.client(one.token) as follower,
    ):
        chat = await client.create("count 5000")
        frames: list[Frame] = []
        await speaking(follower, chat["id"], frames)
        asked_at = asyncio.get_running_loop().time()
        await client.interrupt(chat["id"])
        async with asyncio.timeout(TURN_S):
            await ended(follower, chat["id"], frames)
        took = asyncio.get_running_loop().time() - asked_at
    screen = on_screen(frames)
    (kept,) = answers(screen)
    assert kept
    assert counted(5000).startswith(kept)
    assert screen.turns == [(2, "interrupted")]
    assert took < SOON_S


async def test_another_worker_ends_the_interruption_of_one_that_was_killed(
    serve: Serve, on_database: dict[str, str]
) -> None:
    """What waits in the queue is answered after what had been said."""
    settings = on_database | QUICK_LEASE | {"scripted_rate": "30"}
    async with (
        serve("--roles", "api,projector", **settings) as api,
        serve("--roles", "worker", **settings) as first,
        api.client() as client,
    ):
        chat = await client.create("count 5000")
        frames: list[Frame] = []
        await speaking(client, chat["id"], frames)
        await first.stop(signal.SIGKILL)
        await client.send(chat["id"], "count 3", busy_behavior="interrupt")
        async with serve("--roles", "worker", **settings), asyncio.timeout(TURN_S):
            await ended(client, chat["id"], frames)
            await ended(client, chat["id"], frames)
    screen = on_screen(frames)
    kept, answer = answers(screen)
    assert counted(5000).startswith(kept)
    assert answer == counted(3)
    assert [outcome for _, outcome in screen.turns] == ["interrupted", "finished"]
