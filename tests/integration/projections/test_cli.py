"""`parley projections`, as processes on the test's database."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from projections.messages import MESSAGES
from service import wire
from service.db.pool import connect
from service.domain.ids import CHAT
from service.eventstore.records import NewEvent
from tests import builders as b
from tests.integration.projections.test_rebuild import fill, leftovers, there
from tests.integration.projections.world import World, make_counter, projecting

PARLEY = Path(sys.executable).with_name("parley")
COMMAND_S = 30.0


def environ(world: World) -> dict[str, str]:
    """Settings that lead a command to the test's database."""
    return {
        "PARLEY_DATABASE_URL": world.database.dsn,
        "PARLEY_ROLE_PREFIX": world.database.role_prefix,
    }


@asynccontextmanager
async def started(
    world: World, *arguments: str, cwd: Path | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command that runs; killed at the end if it still does."""
    process = await asyncio.create_subprocess_exec(
        str(PARLEY), "projections", *arguments,
        env=dict(os.environ) | environ(world),  # noqa: TID251  PATH and HOME
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def parley(
    world: World, *arguments: str, code: int = 0, cwd: Path | None = None
) -> tuple[str, str]:
    """Run a command to its end: standard output and standard error."""
    async with asyncio.timeout(COMMAND_S):
        async with started(world, *arguments, cwd=cwd) as process:
            out, err = await process.communicate()
    assert process.returncode == code, err.decode()
    return out.decode(), err.decode()


async def parley_json(world: World, *arguments: str, code: int = 0) -> Any:
    out, _ = await parley(world, *arguments, "--json", code=code)
    return wire.loads(out)


async def test_rebuild_compare_swap_drop(world: World) -> None:
    await fill(world, chats=3)
    built = await parley_json(world, "rebuild", "messages", "--yes")
    assert (built["version"], built["state"]) == (2, "running")
    same = await parley_json(world, "diff", "messages")
    assert same["empty"]
    assert same["position"] == await world.head()
    await world.execute("DELETE FROM read.messages__v2 WHERE id = 2")
    out, _ = await parley(world, "diff", "messages", code=1)
    assert "only_old: {" in out
    assert "they differ" in out
    out, _ = await parley(world, "swap", "messages", "--yes")
    assert out == "readers see messages v2; messages v1 goes on until you drop it\n"
    lag = await parley_json(world, "lag")
    mine = [row for row in lag if row["projection"] == "messages"]
    assert [(row["version"], row["active"]) for row in mine] == [(1, False), (2, True)]
    _, why = await parley(world, "drop", "messages", "--version=2", "--yes", code=1)
    assert "in use" in why
    await parley(world, "drop", "messages", "--version", "1", "--yes")
    assert await there(world) == [(2, "running")]
    out, _ = await parley(world, "lag")
    assert "messages" in out


async def test_nothing_is_changed_without_a_yes(world: World) -> None:
    _, why = await parley(world, "rebuild", "messages", code=1)
    assert "give --yes" in why
    assert await there(world) == [(1, "running")]


async def test_names_that_nobody_knows(world: World) -> None:
    _, why = await parley(world, "rebuild", "nothing", "--yes", code=1)
    assert "there are chats, cursors, messages, queue, runnable, search" in why
    _, why = await parley(world, "build", "nowhere:NOTHING", "--yes", code=1)
    assert "cannot load the projection" in why


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_takes_away_what_was_built(
    world: World, number: signal.Signals
) -> None:
    """The build waits for a lock that the test holds, so the signal meets it there."""
    await fill(world, chats=3)
    async with (
        log_locked(world),
        started(world, "rebuild", "messages", "--yes") as process,
    ):
        await until_waiting(world, "parley/rebuild")
        process.send_signal(number)
        async with asyncio.timeout(COMMAND_S):
            await process.communicate()
    assert process.returncode in (1, 130)
    assert await there(world) == [(1, "running")]
    assert await leftovers(world) == []


async def test_next_command_takes_away_what_a_killed_one_left(world: World) -> None:
    await fill(world, chats=3)
    async with (
        log_locked(world),
        started(world, "rebuild", "messages", "--yes") as process,
    ):
        await until_waiting(world, "parley/rebuild")
        process.kill()
        await process.wait()
    await gone(world, "parley/rebuild")
    assert await there(world) == [(1, "running"), (2, "building")]
    async with projecting(world) as projector:
        await projector.cycles(2)
    assert await there(world) == [(1, "running"), (2, "building")]
    _, log = await parley(world, "lag")
    assert "half-built read model dropped" in log
    assert await there(world) == [(1, "running")]
    assert await leftovers(world) == []


async def test_parked_chat_is_retried_and_a_stopped_projection_skips(
    world: World,
) -> None:
    await world.append(b.CHAT, *b.a_chat())
    malformed = NewEvent("message_appended", 1, {"at": "never"})
    await world.append_raw(b.CHAT, malformed, category=CHAT)
    await make_counter(world)
    counter = "tests.integration.projections.world:COUNTER"
    from tests.integration.projections.world import COUNTER, count

    async with projecting(world, [MESSAGES, COUNTER]) as projector:
        await projector.until(lambda: _stopped(world))
        _, why = await parley(world, "retry", "messages", str(b.CHAT), "--yes", code=1)
        assert "cannot take 'message_appended' at position 3" in why
        _, why = await parley(world, "skip", counter, "2", "--reason=no", "-y", code=1)
        assert "only what stopped it can be skipped" in why
        out, log = await parley(
            world, "skip", counter, "3", "--reason", "written by hand", "--yes"
        )
        assert out == "counter v1 goes on without the event at position 3\n"
        assert "event skipped" in log
        assert "written by hand" in log
        await world.append(b.CHAT, b.user("on"))
        projector.wakeup.ring()
        await projector.catches_up()
    assert await count(world) == 2
    kept = await world.rows(
        "SELECT projection, position, skipped FROM ops.parked_streams ORDER BY 1"
    )
    assert kept == [("counter", 3, "written by hand"), ("messages", 3, None)]
    # a rebuild of the same definition leaves it out, too
    built = await parley_json(world, "rebuild", counter, "--yes")
    assert (built["version"], built["state"]) == (2, "running")
    assert (await parley_json(world, "diff", counter))["empty"]


async def test_retry_replays_and_resumes(world: World) -> None:
    await world.append(b.CHAT, *b.a_chat())
    async with projecting(world) as projector:
        await projector.catches_up()
    await world.execute(
        "INSERT INTO ops.parked_streams (projection, version, category, stream_id,"
        " position, event_version, event_type, error)"
        " VALUES ('messages', 1, 'chat', %s, 2, 2, 'message_appended', 'x')",
        b.CHAT,
    )
    await world.execute("UPDATE ops.checkpoints SET state = 'stopped', error = 'x'")
    out, log = await parley(world, "retry", "queue", "--yes")
    assert out == "queue v1 tries again\n"
    assert "stopped projection resumed" in log
    await world.execute("UPDATE ops.checkpoints SET state = 'running', error = NULL")
    out, log = await parley(world, "retry", "messages", "--yes")
    assert out == f"chat {b.CHAT} replayed: 1 events\n"
    assert "parked stream retried" in log
    _, why = await parley(world, "retry", "messages", "--yes", code=1)
    assert "nothing parked" in why


@asynccontextmanager
async def log_locked(world: World) -> AsyncIterator[None]:
    """Whoever reads the log waits."""
    async with (
        await connect(world.database, role=None, name="lock") as connection,
        connection.transaction(),
    ):
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await connection.execute("LOCK TABLE es.events IN ACCESS EXCLUSIVE MODE")
        yield


async def _stopped(world: World) -> bool:
    return (await world.checkpoint("counter"))[1] == "stopped"


async def until_waiting(world: World, application: str) -> None:
    """Until a session of that name waits for a lock; asked again, not slept for."""
    async with asyncio.timeout(COMMAND_S):
        while not await world.rows(  # noqa: ASYNC110
            "SELECT FROM pg_stat_activity WHERE application_name = %s"
            " AND wait_event_type = 'Lock'",
            application,
        ):
            await asyncio.sleep(0.02)


async def gone(world: World, application: str) -> None:
    """Until no session of that name is left."""
    async with asyncio.timeout(COMMAND_S):
        while await world.rows(  # noqa: ASYNC110
            "SELECT FROM pg_stat_activity WHERE application_name = %s", application
        ):
            await asyncio.sleep(0.02)


async def test_terminal_gets_a_bar_with_rate(world: World) -> None:
    await fill(world, chats=3)
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        str(PARLEY), "projections", "rebuild", "messages", "--yes",
        env=dict(os.environ) | environ(world) | {"TERM": "xterm", "COLUMNS": "100"},  # noqa: TID251
        stdout=asyncio.subprocess.PIPE,
        stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    async with asyncio.timeout(COMMAND_S):
        out, _ = await process.communicate()
    drawn = os.read(ours, 100_000).decode()
    os.close(ours)
    assert out == b"messages v2 is built; compare with `diff`, then `swap`\n"
    head = await world.head()
    assert f"{head}/{head}" in drawn
    assert "events/s" in drawn
    assert "\u2501" in drawn
