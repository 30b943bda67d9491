"""A client's `follow` over a service that is killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from service.api.server import bind
from service.client.client import Frame
from service.db.embedded.postmaster import read_pid_file
from tests.e2e.conftest import Serve
from tests.e2e.test_serve import committed

TURN_S = 60.0
FAST = {"lease_s": "2", "heartbeat_interval_s": "0.5", "poll_interval_s": "0.5"}
"""A worker that was killed is replaced within two seconds."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_frames_come_once_over_a_restart_in_the_middle_of_a_message(
    serve: Serve, on_database: dict[str, str], number: signal.Signals
) -> None:
    settings = on_database | FAST | {"shutdown_grace_s": "0", "scripted_rate": "40"}
    port = _free_port()
    async with AsyncExitStack() as services:
        first = await services.enter_async_context(serve("--port", port, **settings))
        frames: list[Frame] = []
        restarted = False
        async with asyncio.timeout(TURN_S), first.client() as client:
            chat = await client.create("count 60")
            async for frame in client.follow(chat["id"], after="0"):
                frames.append(frame)
                if not restarted and _parts(frames) == 10:
                    await first.stop(number)
                    await services.enter_async_context(
                        serve("--port", port, **settings)
                    )
                    restarted = True
                if frame.name == "turn_finished":
                    break
    assert restarted
    ids = [frame.id for frame in frames if frame.name != "caught_up"]
    assert len(ids) == len(set(ids))
    versions = [f.data["version"] for f in frames if "version" in f.data]
    assert versions == sorted(versions)
    assert frames[-1].data["outcome"] == "finished"
    assert committed(frames) == " ".join(str(n) for n in range(1, 61))


async def test_a_turn_goes_on_when_its_postgres_is_killed(
    serve: Serve, tmp_path: Path
) -> None:
    """The service starts its own Postgres again; UNLOGGED tables come back empty."""
    data = tmp_path / "data"
    settings = FAST | {"scripted_rate": "40"}
    frames: list[Frame] = []
    async with serve("--data-dir", str(data), **settings) as served:
        async with asyncio.timeout(TURN_S), served.client() as client:
            chat = await client.create("count 80")
            async for frame in client.follow(chat["id"], after="0"):
                frames.append(frame)
                if _parts(frames) == 10 and frame.name == "message_part":
                    written = read_pid_file(data / "pgdata")
                    assert written is not None
                    os.kill(written.pid, signal.SIGKILL)
                if frame.name == "turn_finished":
                    break
            await client.send(chat["id"], "count 2")
        assert await served.stop() == 0
    assert frames[-1].data["outcome"] == "finished"
    assert committed(frames) == " ".join(str(n) for n in range(1, 81))
    versions = [f.data["version"] for f in frames if "version" in f.data]
    assert versions == sorted(versions)


def _parts(frames: list[Frame]) -> int:
    return sum(frame.name == "message_part" for frame in frames)


def _free_port() -> str:
    with bind("127.0.0.1", 0) as probe:
        return str(probe.getsockname()[1])
