"""How far behind each projection is while 5,000 events are appended a second.

All projections run in one process, as `parley serve --roles projector` runs them; the
writer is this process: chats of whole turns, one event a request. The lag in events is
the head's place less the checkpoint's, looked at again and again; in milliseconds it is
the time for which the first event that a checkpoint does not have has been committed.
A machine that does not keep up falls further behind all the time: then the pace is
halved until it does, and the pace that was kept is what is reported.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter
from uuid import uuid4

from projections.registry import PROJECTIONS
from scripts.benchmarks.bench import Bench
from scripts.benchmarks.chats import writing
from scripts.benchmarks.events import HASH, METADATA, a_turn, chat_created
from scripts.benchmarks.harness import Budget, Result, median, percentile
from scripts.benchmarks.service import serve
from service.db.pool import Connection, connect
from service.domain.events.chat import ChatEvent
from service.domain.ids import CHAT
from service.eventstore.appender import Appender
from service.eventstore.codec import encode
from service.eventstore.records import (
    AppendRequest,
    NewEvent,
    StreamAppend,
    StreamName,
)

PACE_PER_S = 5_000
SLOWEST_PER_S = 500
TURNS = 10
"""Of a chat."""
WRITERS = 250
"""Chats at a time: each has 50 ms for an event when all keep the pace."""
WARM_UP_S = 2.0
SECONDS = 20.0
LOOK_S = 0.005
"""Between two looks at the checkpoints; a batch takes longer."""
KEPT_SHARE = 0.98
"""Of the pace: below it the writer was held up."""
BEHIND_S = 1.0
"""A median lag above it means that the projections do not keep up."""
AT_START_S = 60.0

LOOK = """
SELECT c.projection, c.position FROM ops.checkpoints AS c
WHERE c.state = 'running' AND c.projection = ANY (%s)
"""
PARKED = "SELECT count(*) FROM ops.parked_streams"

BUDGET = Budget(">=", PACE_PER_S * KEPT_SHARE)


@dataclass(slots=True)
class Lag:
    """Of one projection, at each look."""

    events: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Written:
    """When which place of the log was known to be committed."""

    positions: list[int] = field(default_factory=list)
    """Ascending: the newest place of each answer that moved it."""
    times: list[float] = field(default_factory=list)
    events: int = 0

    def committed(self, position: int) -> None:
        """An append came back, whose event has this place."""
        self.events += 1
        if not self.positions or position > self.positions[-1]:
            self.positions.append(position)
            self.times.append(perf_counter())

    def behind(self, checkpoint: int, now: float) -> tuple[int, float]:
        """Events and milliseconds that a checkpoint is behind."""
        first = bisect_right(self.positions, checkpoint)
        if first == len(self.positions):
            return 0, 0.0
        return self.positions[-1] - checkpoint, 1_000 * (now - self.times[first])


@dataclass(slots=True)
class Run:
    """What one pace gave."""

    pace: float
    rate: float
    lags: dict[str, Lag]

    @property
    def kept_up(self) -> bool:
        """Whether the writer kept its pace, and the projections kept up with it."""
        slowest = max(median(lag.ms) for lag in self.lags.values())
        return self.rate >= KEPT_SHARE * self.pace and slowest < 1_000 * BEHIND_S


async def run(bench: Bench) -> list[Result]:
    """Lags of each projection, and the pace at which they were measured."""
    pace: float = PACE_PER_S
    tried: dict[str, float] = {}
    while True:
        await bench.quiet.wait()
        measured = await _measure(bench, pace)
        tried[f"at {pace:g}/s"] = max(median(g.ms) for g in measured.lags.values())
        bench.say(f"pace {pace:g}/s: {measured.rate:,.0f}/s, {tried}")
        if measured.kept_up or pace <= SLOWEST_PER_S:
            return _results(bench, measured, tried)
        pace /= 2


async def _measure(bench: Bench, pace: float) -> Run:
    names = [projection.name for projection in PROJECTIONS]
    lags = {name: Lag() for name in names}
    written, done = Written(), asyncio.Event()
    async with (
        bench.server.fresh() as database,
        serve(database, roles="projector"),
        writing(database) as appender,
        await connect(database, role="projector", name="bench-lag") as connection,
        asyncio.TaskGroup() as tasks,
    ):
        await _there(connection, names)
        start = perf_counter()
        for number in range(WRITERS):
            slots = _slots(start, number, pace)
            tasks.create_task(_write(appender, slots, written, done))
        await asyncio.sleep(WARM_UP_S)
        seconds = SECONDS / 4 if bench.quick else SECONDS
        before, began = written.events, perf_counter()
        while (now := perf_counter()) < began + seconds:
            await _look(connection, names, written, lags)
            await asyncio.sleep(LOOK_S)
        rate = (written.events - before) / (now - began)
        done.set()
        if (parked := await (await connection.execute(PARKED)).fetchone()) != (0,):
            raise RuntimeError(f"streams were parked, not projected: {parked}")
    return Run(pace, rate, lags)


async def _there(connection: Connection, names: Sequence[str]) -> None:
    """Wait for the checkpoints, which the projector makes when it starts."""
    async with asyncio.timeout(AT_START_S):
        while len(await _checkpoints(connection, names)) < len(names):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def _checkpoints(
    connection: Connection, names: Sequence[str]
) -> list[tuple[str, int]]:
    return await (await connection.execute(LOOK, (list(names),))).fetchall()


async def _look(
    connection: Connection,
    names: Sequence[str],
    written: Written,
    lags: dict[str, Lag],
) -> None:
    now = perf_counter()
    found = await _checkpoints(connection, names)
    for name, position in found:
        events, ms = written.behind(position, now)
        lags[name].events.append(events)
        lags[name].ms.append(max(ms, 0.0))


def _slots(start: float, number: int, pace: float) -> Iterator[float]:
    """When a writer's events are due; the writers take turns."""
    every = WRITERS / pace
    return (start + (turn + number / WRITERS) * every for turn in count())


async def _write(
    appender: Appender,
    slots: Iterator[float],
    written: Written,
    done: asyncio.Event,
) -> None:
    """Chat after chat, an event at each slot, or as soon after it as can be."""
    while True:
        stream, version, digest = StreamName(CHAT, uuid4()), 0, None
        for event in EVENTS:
            await asyncio.sleep(max(0.0, next(slots) - perf_counter()))
            if done.is_set():
                return
            append = StreamAppend(stream, version, (event,), digest)
            key = f"bench:{stream.stream_id}-{version}"
            result = await appender.append(AppendRequest((append,), key, HASH))
            moved = result.streams[0]
            version, digest = moved.last_version, moved.digest
            written.committed(moved.last_position)


def _chat() -> list[NewEvent]:
    """A chat's events, encoded once: they say nothing of which chat it is."""
    events: list[ChatEvent] = [chat_created()]
    for _ in range(TURNS):
        events += a_turn(len(events) + 1)
    return [encode(event, METADATA) for event in events]


EVENTS = _chat()


def _results(bench: Bench, measured: Run, tried: dict[str, float]) -> list[Result]:
    details = {
        "writer_events_per_s": measured.rate,
        "slowest_projection_p50_ms": tried,
        "projectors": "all in one process",
        **bench.facts,
    }
    rate = measured.rate if measured.kept_up else 0.0
    results = [
        Result("appends that projections keep up with", rate, "events/s", BUDGET,
               details=details)
    ]  # fmt: skip
    for name, lag in measured.lags.items():
        told = {
            "ms": _spread(lag.ms),
            "events": _spread(lag.events),
            "looks": len(lag.ms),
            "writer_events_per_s": measured.rate,
        }
        for percent in (50, 99):
            case = f"lag of {name} under {measured.pace:g} appends/s, p{percent}"
            value = percentile(lag.ms, percent)
            results.append(Result(case, value, "ms", details={**told, **bench.facts}))
    return results


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "p50": percentile(values, 50),
        "p99": percentile(values, 99),
        "max": max(values),
    }
