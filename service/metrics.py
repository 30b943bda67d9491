"""Vital signs for Prometheus: one registry per process, read when it is scraped.

Counts live in the parts that make them (an appender knows its batches); `counters` and
`gauges` say where. So no part depends on a metrics library, and a scrape costs what it
costs, not every append. Labels are bounded: routes and statuses, never ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
"""Buckets of request times; an append takes half a millisecond when idle."""

Family = type[CounterMetricFamily] | type[GaugeMetricFamily]


class Metrics(Collector):
    """The registry of one process, with the signs of its HTTP rim."""

    def __init__(self) -> None:
        self._signs: list[_Sign] = []
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
            ["route"],
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

    def counters(self, part: str, owner: object, signs: Mapping[str, str]) -> None:
        """Read these attributes of `owner`, which only grow, at every scrape.

        `signs` maps an attribute to its help; the name is `parley_<part>_<attribute>`.
        """
        self._watch(CounterMetricFamily, part, owner, signs)

    def gauges(self, part: str, owner: object, signs: Mapping[str, str]) -> None:
        """Like `counters`, for numbers that go up and down."""
        self._watch(GaugeMetricFamily, part, owner, signs)

    def collect(self) -> Iterable[Metric]:
        """Called by the registry."""
        for sign in self._signs:
            metric = sign.family(sign.name, sign.help)
            metric.add_metric([], float(getattr(sign.owner, sign.attribute)))
            yield metric

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)

    def _watch(
        self, family: Family, part: str, owner: object, signs: Mapping[str, str]
    ) -> None:
        for attribute, text in signs.items():
            name = f"parley_{part}_{attribute}"
            self._signs.append(_Sign(name, text, family, owner, attribute))


@dataclass(frozen=True, slots=True)
class _Sign:
    name: str
    help: str
    family: Family
    owner: object
    attribute: str
