"""What a service's processes tell of themselves, before, meanwhile and after."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from service.errors import ParleyError

LOOK_S = 1.0
"""Between two looks at gauges; a scrape costs the service some 5 ms."""
TIMEOUT_S = 10.0

STATEMENTS = "parley_database_statements_total"
READS = "parley_chats_history_reads_total"
HEARTBEATS = "parley_lease_heartbeats_total"
APPENDED = "parley_appender_events_total"
BATCHES = "parley_appender_batches_total"
WAITS = "parley_pool_waits_total"
WAIT_SECONDS = "parley_pool_wait_seconds_total"
IN_USE = "parley_pool_in_use"
MOST_IN_USE = "parley_pool_most_in_use"
RUNNING = "parley_worker_running"

Sample = tuple[str, str]
"""The name of a metric, and what it is for, if it says so."""


@dataclass(eq=False)
class NoMetrics(ParleyError):
    """A process does not tell its metrics."""

    url: str
    reason: str

    def __str__(self) -> str:
        return f"{self.url}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Costs:
    """What the turns took of the database, over all processes that were asked."""

    statements: dict[str, int]
    """By purpose: what a connection is for."""
    statements_per_turn: float
    history_reads: int
    history_reads_per_turn: float
    heartbeats: int
    events: int
    batches: int
    """Commits that the events shared."""
    connections_most_in_use: int
    """Of one process's pool, since it started."""
    connections_seen_in_use: int
    """In all pools together, at one of the looks."""
    pool_waits: int
    """Times that a connection had to be waited for."""
    pool_wait_seconds: float
    most_running: int
    """Chats that ran at once, as far as the looks saw."""

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


class Vitals:
    """The metrics of some processes. An async context manager."""

    def __init__(self, urls: Sequence[str], token: str) -> None:
        self._urls = urls
        self._http = httpx2.AsyncClient(
            headers={"authorization": f"Bearer {token}"}, timeout=TIMEOUT_S
        )
        self._first: Mapping[Sample, float] = {}
        self._most: dict[str, float] = {IN_USE: 0.0, RUNNING: 0.0}
        self._looking: asyncio.Task[NoReturn] | None = None

    async def __aenter__(self) -> Vitals:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await self._http.aclose()

    async def begin(self) -> None:
        """Note how it is now, and look at it from now on. Raises NoMetrics."""
        self._first = await self._scrape()
        self._looking = asyncio.create_task(self._look(), name="vitals")

    async def end(self, turns: int) -> Costs:
        """What has been spent since `begin`. Raises NoMetrics."""
        now = await self._scrape()
        spent = {sample: value - self._first.get(sample, 0.0)
                 for sample, value in now.items()}  # fmt: skip
        statements = {
            purpose: round(count)
            for (name, purpose), count in sorted(spent.items())
            if name == STATEMENTS and count
        }
        total, reads = sum(statements.values()), spent.get((READS, ""), 0.0)
        return Costs(
            statements=statements,
            statements_per_turn=total / max(turns, 1),
            history_reads=round(reads),
            history_reads_per_turn=reads / max(turns, 1),
            heartbeats=round(spent.get((HEARTBEATS, ""), 0.0)),
            events=round(spent.get((APPENDED, ""), 0.0)),
            batches=round(spent.get((BATCHES, ""), 0.0)),
            connections_most_in_use=round(now.get((MOST_IN_USE, ""), 0.0)),
            connections_seen_in_use=round(self._most[IN_USE]),
            pool_waits=round(spent.get((WAITS, ""), 0.0)),
            pool_wait_seconds=spent.get((WAIT_SECONDS, ""), 0.0),
            most_running=round(self._most[RUNNING]),
        )

    async def _look(self) -> NoReturn:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                now = await self._scrape()
            except NoMetrics:
                continue  # busy, or restarting; the last scrape decides
            for name, most in self._most.items():
                self._most[name] = max(most, now.get((name, ""), 0.0))

    async def _scrape(self) -> dict[Sample, float]:
        """All processes added up; of the most at a time the largest."""
        texts = await asyncio.gather(*(self._text(url) for url in self._urls))
        found: dict[Sample, float] = defaultdict(float)
        for text in texts:
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    key = sample.name, sample.labels.get("purpose", "")
                    if sample.name == MOST_IN_USE:
                        found[key] = max(found[key], sample.value)
                    else:
                        found[key] += sample.value
        return found

    async def _text(self, url: str) -> str:
        try:
            answer = await self._http.get(url)
        except httpx2.TransportError as error:
            raise NoMetrics(url, str(error) or type(error).__name__) from error
        if answer.status_code != 200:
            raise NoMetrics(url, f"status {answer.status_code}")
        return answer.text
