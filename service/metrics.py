"""Vital signs for Prometheus: one registry per process, read when it is scraped.

Counts live in the parts that make them (an appender knows its batches); PARTS says
which, and `Metrics.watch` whose. So no part depends on a metrics library, and a scrape
costs what it costs, not every append. Labels are bounded: routes and statuses, never
ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
"""Buckets of request times; an append takes half a millisecond when idle."""


@dataclass(frozen=True, slots=True)
class Sign:
    """An attribute that is read at a scrape; a counter's only grows.

    A histogram's has `cumulative()`, (upper bound, count up to it) with `+Inf` last,
    and `sum`.
    """

    kind: Literal["counter", "gauge", "histogram"]
    attribute: str
    help: str
    label: str | None = None
    """The attribute is a mapping; its keys, which are few, are values of this label."""


PARTS: Mapping[str, Sequence[Sign]] = {
    "appender": (
        Sign("counter", "events", "Events appended"),
        Sign("counter", "batches", "Batches committed"),
        Sign("counter", "requests", "Requests answered"),
        Sign("counter", "conflicts", "Requests that met another version than expected"),
        Sign("histogram", "batch_requests", "Requests that shared a commit"),
        Sign("histogram", "commit_seconds", "Time until a batch was committed"),
    ),
    "database": (
        Sign("counter", "statements", "Statements sent, by purpose", label="purpose"),
    ),
    "pool": (
        Sign("gauge", "in_use", "Connections that requests hold"),
        Sign("gauge", "most_in_use", "The most that requests held at a time"),
        Sign("counter", "waits", "Requests that waited for a connection"),
        Sign("counter", "wait_seconds", "Time that they waited"),
    ),
    "chats": (Sign("counter", "history_reads", "Reads of chats' events to fold"),),
    "appends": (Sign("gauge", "waiting", "Append requests without an answer"),),
    "listener": (Sign("counter", "reconnects", "LISTEN connections after the first"),),
    "guard": (
        Sign("counter", "violations", "Slow calls made while a connection was held"),
    ),
    "tail": (Sign("gauge", "position", "Position read to in the log"),),
    "projector": (
        Sign("counter", "events", "Events projected"),
        Sign("counter", "batches", "Batches committed"),
        Sign("counter", "parked", "Streams parked at an event they cannot pass"),
        Sign("counter", "stopped", "Projections stopped"),
        Sign("counter", "reconnects", "Connections lost"),
    ),
    "worker": (
        Sign("gauge", "running", "Chats that run here"),
        Sign("gauge", "waiting", "Chats held here that only wait"),
    ),
    "lease": (
        Sign("gauge", "held", "Leases that this worker renews"),
        Sign("counter", "heartbeats", "Heartbeats that the database answered"),
        Sign("counter", "losses", "Leases lost"),
    ),
    "live": (
        Sign("gauge", "active", "Open episodes"),
        Sign("gauge", "largest_bytes", "JSON of the largest open episode"),
        Sign("counter", "parts", "Live parts written"),
        Sign("counter", "flushes", "Flushes of live parts"),
        Sign("counter", "dropped", "Live parts that found no room"),
    ),
    "stream": (
        Sign("gauge", "followers", "Open streams of chats"),
        Sign("gauge", "ring_bytes", "Frames kept for followers"),
    ),
    "limits": (
        Sign("counter", "rate_limited", "Requests refused for their token's rate"),
        Sign("counter", "too_many_running", "Turns refused to users with too many"),
    ),
    "feeds": (Sign("gauge", "open", "Open raw feeds and watchers"),),
    "http": (Sign("gauge", "connections", "Open connections, idle ones too"),),
}
"""Part, which whoever builds it names to `Metrics.watch`, to what is read of it. The
name of a metric is `parley_<part>_<attribute>`."""


class Lag(Protocol):
    """How far a read model is behind."""

    @property
    def projection(self) -> str: ...
    @property
    def events_behind(self) -> int: ...
    @property
    def seconds_behind(self) -> float: ...


class Metrics(Collector):
    """The registry of one process, with the signs of its HTTP rim."""

    def __init__(self) -> None:
        self._watched: list[tuple[str, Sign, object]] = []
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(self)
        self.requests = Counter(
            "parley_http_requests",
            "Requests answered, by route and status",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "parley_http_request_seconds",
            "Time until a request was answered; streams are left out",
            ["route", "status"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.lag_events = Gauge(
            "parley_projection_lag_events",
            "Events that a read model is behind the log",
            ["projection"],
            registry=self.registry,
        )
        self.lag_seconds = Gauge(
            "parley_projection_lag_seconds",
            "Age of the oldest event that is not in a read model yet",
            ["projection"],
            registry=self.registry,
        )

    def watch(self, part: str, owner: object) -> None:
        """Read what PARTS names of this part from `owner` at every scrape."""
        for sign in PARTS[part]:
            self._watched.append((f"parley_{part}_{sign.attribute}", sign, owner))

    def show_lag(self, rows: Sequence[Lag]) -> None:
        """Tell these read models' lag; of what is not among them nothing is known."""
        self.lag_events.clear()
        self.lag_seconds.clear()
        for row in rows:
            self.lag_events.labels(row.projection).set(row.events_behind)
            self.lag_seconds.labels(row.projection).set(row.seconds_behind)

    def collect(self) -> Iterable[Metric]:
        """Called by the registry."""
        for name, sign, owner in self._watched:
            yield _read(name, sign, getattr(owner, sign.attribute))

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)


def _read(name: str, sign: Sign, value: Any) -> Metric:
    if sign.kind == "histogram":
        return HistogramMetricFamily(
            name, sign.help, buckets=value.cumulative(), sum_value=value.sum
        )
    of_kind = CounterMetricFamily if sign.kind == "counter" else GaugeMetricFamily
    if sign.label is None:
        return of_kind(name, sign.help, value=float(value))
    family = of_kind(name, sign.help, labels=[sign.label])
    # a copy: others may count something new meanwhile
    for key, count in dict(value).items():
        family.add_metric([key], float(count))
    return family
