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
    called: str | None = None
    """Another name than its part and attribute make."""

    def name(self, part: str) -> str:
        """What the metric is called."""
        return self.called or f"parley_{part}_{self.attribute}"


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
        Sign(
            "gauge", "chats", "Chats that are held here", "state", called="parley_chats"
        ),
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
name of a metric is `parley_<part>_<attribute>`, but for a few."""


class Lag(Protocol):
    """How far a read model is behind."""

    @property
    def projection(self) -> str: ...
    @property
    def events_behind(self) -> int: ...
    @property
    def seconds_behind(self) -> float: ...


MESSAGES = tuple(2.0**n for n in range(11))
"""1 to 1,024 messages in a prompt."""

PROMPT_BYTES = tuple(1024.0 * 4**n for n in range(10))
"""1 KiB to 256 MiB."""

RESULT_BYTES = tuple(64.0 * 4**n for n in range(9))
"""64 bytes to 4 MiB."""

FIRST_PART_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

MOST_MODELS = 100
"""Pairs of provider and model that have labels of their own; the rest share one."""

OTHER = ("other", "other")


class ModelMetrics:
    """What models were asked and what came of it, by provider and model.

    Models are those of configs, tools those that are built in; `mcp` and `client` stand
    for all others.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._pairs: set[tuple[str, str]] = set()

        def counter(name: str, help: str, *labels: str) -> Counter:
            names = ("provider", "model", *labels)
            return Counter(f"parley_{name}", help, names, registry=registry)

        def histogram(
            name: str, help: str, *labels: str, buckets: Sequence[float]
        ) -> Histogram:
            names = ("provider", "model", *labels)
            return Histogram(
                f"parley_{name}", help, names, buckets=buckets, registry=registry
            )

        self._messages = histogram(
            "message_count", "Messages in a prompt", buckets=MESSAGES
        )
        self._prompt_bytes = histogram(
            "prompt_size_bytes", "About what a prompt holds", buckets=PROMPT_BYTES
        )
        self._first_part = histogram(
            "ttft_seconds", "Until a model said something", buckets=FIRST_PART_SECONDS
        )
        self._result_bytes = histogram(
            "tool_result_size_bytes",
            "JSON of a tool's result",
            "tool_name",
            buckets=RESULT_BYTES,
        )
        self._steps = counter("steps", "Answers of models that ended as they should")
        self._retries = counter("stream_retries", "Calls that are made again", "kind")
        self._compactions = counter("compaction", "Tries to shorten a chat", "result")
        self._truncated = counter(
            "tool_result_truncated", "Results that were cut to fit", "tool_name"
        )
        self._errors = counter("tool_errors", "Results that are errors", "tool_name")

    def called(
        self, provider: str, model: str, *, messages: int, prompt_bytes: int
    ) -> None:
        """A model is asked."""
        pair = self._pair(provider, model)
        self._messages.labels(*pair).observe(messages)
        self._prompt_bytes.labels(*pair).observe(prompt_bytes)

    def first_part(self, provider: str, model: str, seconds: float) -> None:
        """It said something, so long after it was asked."""
        self._first_part.labels(*self._pair(provider, model)).observe(seconds)

    def step(self, provider: str, model: str) -> None:
        """It answered."""
        self._steps.labels(*self._pair(provider, model)).inc()

    def retry(self, provider: str, model: str, kind: str) -> None:
        """It failed, and is asked again."""
        self._retries.labels(*self._pair(provider, model), kind).inc()

    def compaction(
        self,
        provider: str,
        model: str,
        result: Literal["success", "error", "timeout"],
    ) -> None:
        """It was asked for a summary."""
        self._compactions.labels(*self._pair(provider, model), result).inc()

    def tool_result(
        self,
        provider: str,
        model: str,
        *,
        tool: str,
        bytes: int,
        is_error: bool,
        truncated: bool,
    ) -> None:
        """A tool that it had called is done."""
        labels = (*self._pair(provider, model), tool)
        self._result_bytes.labels(*labels).observe(bytes)
        if truncated:
            self._truncated.labels(*labels).inc()
        if is_error:
            self._errors.labels(*labels).inc()

    def _pair(self, provider: str, model: str) -> tuple[str, str]:
        pair = (provider, model)
        if pair in self._pairs:
            return pair
        if len(self._pairs) >= MOST_MODELS:
            return OTHER
        self._pairs.add(pair)
        return pair


class Metrics(Collector):
    """The registry of one process, with the signs of its HTTP rim."""

    def __init__(self) -> None:
        self._watched: list[tuple[str, Sign, object]] = []
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(self)
        self.models = ModelMetrics(self.registry)
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
            self._watched.append((sign.name(part), sign, owner))

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
