"""Several processes on one database, and SIGKILL in the middle of a message."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter

import psycopg

from service.client.client import Client, Frame
from service.db.pool import Database
from tests.e2e.conftest import Serve, Served
from tests.reducer import ChatOnScreen

TURN_S = 60.0
QUICK_LEASE = {"lease_s": "2", "heartbeat_interval_s": "0.5", "poll_interval_s": "0.5"}
"""A dead worker is noticed within the patience of a test."""

ACQUISITIONS = """
SELECT stream_id, count(*) FROM es.events
WHERE type = 'run_acquired' GROUP BY stream_id
"""


def counted(number: int) -> str:
    return " ".join(str(n) for n in range(1, number + 1))


def on_screen(frames: list[Frame]) -> ChatOnScreen:
    screen = ChatOnScreen()
    for frame in frames:
        screen.take(frame.name, frame.data)
    return screen


def answers(screen: ChatOnScreen) -> list[str]:
    return [
        "".join(part["text"] for part in message["content"])
        for message in screen.messages.values()
        if message["role"] == "assistant"
    ]


async def follow_to_the_end(
    client: Client, chat_id: str, frames: list[Frame], *, after: str | None = None
) -> None:
    async with asyncio.timeout(TURN_S):
        async for frame in client.follow(chat_id, after=after):
            frames.append(frame)
            if frame.name == "turn_finished":
                return


async def test_another_worker_goes_on_when_one_is_killed_in_the_middle_of_a_message(
    serve: Serve, on_database: dict[str, str]
) -> None:
    settings = on_database | QUICK_LEASE | {"scripted_rate": "20"}
    async with (
        serve("--roles", "api,projector", **settings) as api,
        serve("--roles", "worker", **settings) as first,
        api.client() as client,
    ):
        chat = await client.create("count 40")
        frames: list[Frame] = []
        async with asyncio.timeout(TURN_S), api.client() as follower:
            async for frame in follower.follow(chat["id"], after="0"):
                frames.append(frame)
                if sum(f.name == "message_part" for f in frames) == 5:
                    await first.stop(signal.SIGKILL)
                    break
        async with serve("--roles", "worker", **settings):
            await follow_to_the_end(client, chat["id"], frames, after=frames[-1].id)
    screen = on_screen(frames)  # asserts that no part and no message came twice
    assert answers(screen) == [counted(40)]
    assert screen.turns == [(2, "finished")]
    assert Counter(f.name for f in frames)["preview_reset"] == 1
    assert len({f.id for f in frames if f.name != "caught_up"}) == len(
        [f for f in frames if f.name != "caught_up"]
    )


async def test_a_follower_goes_on_at_another_replica_when_its_own_is_killed(
    serve: Serve, on_database: dict[str, str]
) -> None:
    """Nothing lost, nothing twice, and no preview_reset: the token after the last."""
    settings = on_database | {"scripted_rate": "30"}
    async with (
        serve("--roles", "api", **settings) as one,
        serve("--roles", "api,worker,projector", **settings) as two,
        one.client() as client,
        two.client(one.token) as elsewhere,
    ):
        chat = await client.create("count 60")
        frames: list[Frame] = []
        async with asyncio.timeout(TURN_S), one.client() as follower:
            async for frame in follower.follow(chat["id"]):
                frames.append(frame)
                if frame.name == "message_part" and frame.data["seq"] == 10:
                    await one.stop(signal.SIGKILL)
                    break
        await follow_to_the_end(elsewhere, chat["id"], frames, after=frames[-1].id)
    screen = on_screen(frames)
    assert answers(screen) == [counted(60)]
    parts = [f.data["seq"] for f in frames if f.name == "message_part"]
    # deltas that wait for the same flush are one part: contiguous, not always sixty
    assert parts == list(range(parts[0], parts[0] + len(parts)))
    assert parts[-1] > 10
    assert [f.name for f in frames if f.name in ("preview_reset", "resync")] == []


async def test_two_workers_never_run_one_chat_together(
    serve: Serve, on_database: dict[str, str], database: Database
) -> None:
    settings = on_database | {"scripted_rate": "200"}
    async with (
        serve("--roles", "api,worker,projector", **settings) as one,
        serve("--roles", "worker", **settings),
        one.client() as client,
    ):
        chats = await asyncio.gather(
            *(client.create(f"count {n}") for n in range(10, 40))
        )
        ends = await asyncio.gather(*(_answer(one, chat["id"]) for chat in chats))
    assert ends == [counted(n) for n in range(10, 40)]
    async with await psycopg.AsyncConnection.connect(database.dsn) as connection:
        cursor = await connection.execute(ACQUISITIONS)
        assert {count for _, count in await cursor.fetchall()} == {1}


async def _answer(served: Served, chat_id: str) -> str:
    frames: list[Frame] = []
    async with served.client() as client:
        await follow_to_the_end(client, chat_id, frames, after="0")
    (answer,) = answers(on_screen(frames))
    return answer
