"""A worker is killed around any of its commits: another one ends the turns as well.

The first chat is left in peace, and tells what has to come of the second, whose worker
is a process that ends by SIGKILL.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from projections.registry import PROJECTIONS
from projections.tables import make_read_models
from service.db.pool import Database, connect
from service.domain.chat.compaction import TOOL
from service.domain.events.chat import ChatEvent
from service.stream.cursor import parse_cursor
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Client, Stack
from tests.integration.agent.crew import Watch, hand, history, types
from tests.integration.agent.eventful import LOOK, begin, eventful, use
from tests.integration.agent.mortal import Counts, Moment
from tests.integration.projections.world import World, projecting

LEASE_S = 1.0
PATIENCE_S = 60.0

COMMITS = {
    "AcquireRun": 2,
    "StartAttempt": 7,
    "CommitStep": 4,
    "CommitCompaction": 1,
    "ScheduleRetry": 1,
    "RequireAction": 1,
    "FinishTurn": 1,
    "FinishInterruption": 1,
    "NameChat": 1,
}
"""All that a worker commits in these turns, when nobody kills it."""

SAMPLED: list[tuple[str, int, Moment]] = [
    ("StartAttempt", 2, "after"),
    ("CommitStep", 1, "before"),
    ("CommitCompaction", 1, "before"),
    ("ScheduleRetry", 1, "after"),
    ("RequireAction", 1, "after"),
    ("FinishInterruption", 1, "before"),
]
"""A batch of tools, a call of the model, a summary, a retry, a client, an interrupt."""

MOMENTS: tuple[Moment, Moment] = ("before", "after")
POINTS = [
    (name, nth, moment)
    for name, count in COMMITS.items()
    for nth in range(1, count + 1)
    for moment in MOMENTS
]

REPEATED = (
    "run_acquired", "generation_attempt_started", "retry_scheduled",
    "usage_recorded", "title_changed",
)  # fmt: skip
"""What may come again, or elsewhere: takeovers, attempts, titles beside turns."""

OURS = (
    "at", "created_at", "completed_at", "deadline", "actor", "runtime_ms", "epoch",
    "attempt",
)  # fmt: skip
"""Of an event, what differs although the same has happened."""

EPHEMERAL = ("message_part", "preview_reset", "caught_up")

LEDGER = """
SELECT purpose, count(*)::int FROM read.usage_ledger WHERE chat_id = %s
GROUP BY purpose ORDER BY purpose
"""
PROBLEMS = "SELECT * FROM es.verify_positions(1, %s)"


async def test_these_are_all_commits(stack: Stack, watch: Watch) -> None:
    chats = Counts(stack)
    await _in_peace(stack, watch, chats)
    assert chats.commits == Counter(COMMITS)


@pytest.mark.parametrize(
    ("name", "nth", "moment"),
    [
        pytest.param(*point, marks=() if point in SAMPLED else pytest.mark.slow)
        for point in POINTS
    ],
    ids=[f"{moment}-{name}-{nth}" for name, nth, moment in POINTS],
)
async def test_the_turns_end_as_if_nothing_had_happened(
    stack: Stack,
    watch: Watch,
    database: Database,
    name: str,
    nth: int,
    moment: Moment,
) -> None:
    peaceful = await _in_peace(stack, watch, Counts(stack))
    chat = await begin(stack)
    async with stack.follow(chat.id, after="0") as client:
        dying = asyncio.create_task(_dies(stack, database, name, nth, moment))
        try:
            async with asyncio.timeout(PATIENCE_S):
                async with asyncio.TaskGroup() as group:
                    using = group.create_task(use(stack, watch, chat, client))
                    group.create_task(_survive(stack, dying, using))
        finally:
            dying.cancel()
            await asyncio.wait([dying])
        await _assert_followed(stack, chat, client)
    expected = await history(stack, peaceful.id)
    events = await history(stack, chat.id)
    assert _told(events, of=chat) == _told(expected, of=peaceful)
    counted = Counter(types(events))
    assert counted["usage_recorded"] == 1
    assert counted["turn_finished"] == counted["interruption_finished"] == 1
    await _assert_log(database, peaceful, chat)


async def _in_peace(stack: Stack, watch: Watch, chats: Counts) -> ChatByHand:
    async with hand(stack, "peaceful", chats=chats, models=eventful(), tools=[LOOK]):
        chat = await begin(stack)
        async with stack.follow(chat.id, after="0") as client:
            await use(stack, watch, chat, client)
    return chat


async def _dies(
    stack: Stack, database: Database, name: str, nth: int, moment: Moment
) -> None:
    """A worker in a process of its own, until it has killed itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.agent.mortal",
        database.dsn,
        database.role_prefix,
        str(LEASE_S),
        *(name, str(nth), moment),
    )
    try:
        assert await process.wait() == -signal.SIGKILL
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _survive(
    stack: Stack, dying: asyncio.Task[None], using: asyncio.Task[None]
) -> None:
    """Another worker, from the death of the first one on, for as long as it is used."""
    await asyncio.wait([dying, using], return_when=asyncio.FIRST_COMPLETED)
    if not using.done():
        dying.result()
        async with hand(
            stack, "alive", models=eventful(), tools=[LOOK], lease_s=LEASE_S
        ):
            await using
    # the last commits of all may be its end
    await dying


async def _assert_followed(stack: Stack, chat: ChatByHand, client: Client) -> None:
    """Each version once, and the same as who comes now is told."""
    version = (await chat.state()).version
    await client.until(lambda c: _seen(c) >= version)
    async with stack.follow(chat.id, after="0") as replay:
        await replay.until(lambda c: bool(c.named("caught_up")))
    assert _of_log(client) == _of_log(replay)
    ids = [frame.id for frame in client.frames if frame.id is not None]
    assert len(ids) == len(set(ids))
    assert not {frame.event for frame in client.frames} & {"resync", "snapshot"}


def _seen(client: Client) -> int:
    return parse_cursor(client.last_id).version if client.last_id else 0


def _of_log(client: Client) -> list[tuple[str | None, Any]]:
    return [(f.event, f.data) for f in client.frames if f.event not in EPHEMERAL]


def _told(events: Sequence[ChatEvent], *, of: ChatByHand) -> list[Any]:
    """What happened, without when, where, and at which try."""
    told = [event for event in events if event.type not in REPEATED]
    return [_plain(event, str(of.id)) for event in told]


def _plain(value: Any, chat_id: str) -> Any:
    if isinstance(value, BaseModel):
        return {
            name: _plain(inner, chat_id)
            for name, inner in value
            if name not in OURS and not name.endswith("_id")
        } | {"call": _call(value)}
    if isinstance(value, tuple | list):
        return [_plain(inner, chat_id) for inner in value]
    return value


def _call(value: BaseModel) -> object:
    """The id of a call; those of summaries have the attempt in them."""
    call_id = getattr(value, "tool_call_id", None)
    return TOOL if call_id is not None and call_id.startswith(TOOL) else call_id


async def _assert_log(
    database: Database, peaceful: ChatByHand, chat: ChatByHand
) -> None:
    """Nothing is wrong with it, and each thing that was paid for is counted once."""
    await make_read_models(database, PROJECTIONS)
    async with (
        await connect(database, role="service", name="test") as writer,
        await connect(database, role=None, name="test") as admin,
    ):
        world = World(database, writer, admin)
        async with projecting(world) as projector:
            await projector.catches_up()
        assert await world.rows(PROBLEMS, await world.head()) == []
        paid = await world.rows(LEDGER, chat.id)
        assert paid == await world.rows(LEDGER, peaceful.id)
        assert dict(paid) == {"compaction": 1, "title": 1, "turn": 4}
