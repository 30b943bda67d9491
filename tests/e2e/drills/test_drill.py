"""Kill what can be killed while chats are talked to; see that nothing happened.

The faults are paced by what gets done: the next one comes when some more turns have
ended, wherever the machine is by then.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Awaitable, Callable

import pytest

from tests.e2e.drills.conftest import Drill
from tests.e2e.drills.fleet import cut, frozen
from tests.e2e.drills.verdict import assert_whole

Fault = Callable[[Drill], Awaitable[None]]


def kill_a_worker(number: int) -> Fault:
    async def fault(drill: Drill) -> None:
        worker = drill.fleet.of("worker")[number]
        await drill.fleet.replace(worker, signal.SIGKILL)

    return fault


def kill_an_api(number: int) -> Fault:
    async def fault(drill: Drill) -> None:
        await drill.fleet.replace(drill.fleet.of("api")[number], signal.SIGKILL)

    return fault


async def kill_the_projector(drill: Drill) -> None:
    (projector,) = drill.fleet.of("projector")
    await drill.fleet.replace(projector, signal.SIGKILL)


async def cut_listeners(drill: Drill) -> None:
    await cut(drill.database, "listener")


async def restart_fast(drill: Drill) -> None:
    await drill.server.stop()
    await drill.server.start()


async def restart_hard(drill: Drill) -> None:
    await drill.server.kill()
    await drill.server.start()


async def freeze_a_worker(drill: Drill) -> None:
    """For longer than its leases last: its chats go on elsewhere, and it comes late."""
    async with frozen(random.choice(drill.fleet.of("worker"))):
        await drill.progress.more(5)


SHORT: list[Fault] = [
    kill_a_worker(0),
    cut_listeners,
    restart_fast,
    kill_an_api(0),
    kill_a_worker(1),
    restart_hard,
    kill_a_worker(2),
]


LONG: list[Fault] = [
    *SHORT,
    kill_an_api(1),
    kill_the_projector,
    freeze_a_worker,
    lambda drill: cut(drill.database, "leases"),
    lambda drill: cut(drill.database, "appender"),
    lambda drill: cut(drill.database, "tail"),
    lambda drill: cut(drill.database, "projector"),
]
ROUNDS = 2


async def run(drill: Drill, faults: list[Fault], *, turns: int) -> None:
    async with drill.under_load() as progress:
        for fault in faults:
            await progress.more(turns)
            await fault(drill)
        await progress.more(turns)
    await assert_whole(drill.fleet, drill.database, drill.talks)


async def test_nothing_is_lost_or_doubled_whatever_is_killed(drill: Drill) -> None:
    await drill.talk(5, of_tools=1)
    await run(drill, SHORT, turns=4)


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_nothing_is_lost_or_doubled_for_long(drill: Drill) -> None:
    """Every fault several times, in any order; some twice in a row."""
    await drill.talk(10, of_tools=2)
    faults = LONG * ROUNDS
    random.Random(4).shuffle(faults)
    await run(drill, faults, turns=6)
