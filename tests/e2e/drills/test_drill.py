"""Kill what can be killed while chats are talked to; see that nothing happened.

The faults are paced by what gets done: the next one comes when some more turns have
ended, wherever the machine is by then.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable

from tests.e2e.drills.conftest import Drill
from tests.e2e.drills.fleet import cut
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


SHORT: list[Fault] = [
    kill_a_worker(0),
    cut_listeners,
    restart_fast,
    kill_an_api(0),
    kill_a_worker(1),
    restart_hard,
    kill_a_worker(2),
]


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
