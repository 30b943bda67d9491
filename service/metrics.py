"""Vital signs for Prometheus: one registry per process, read when it is scraped.

Counts live in the parts that make them (an appender knows its batches); `watch` says
how to read one. So no part depends on a metrics library, and a scrape costs what it
costs, not every append. Labels are bounded: routes and statuses, never ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
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

Kind = Literal["counter", "gauge"]
Reading = float | Mapping[str, float]
"""A number, or numbers by the value of the sign's one label."""


@dataclass(frozen=True, slots=True)
class _Sign:
    name: str
    help: str
    kind: Kind
    label: str | None
    read: Callable[[], Reading]

    def collect(self) -> Metric:
        family = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        labels = [self.label] if self.label is not None else []
        metric = family(self.name, self.help, labels=labels)
        reading = self.read()
        if isinstance(reading, Mapping):
            for value, number in reading.items():
                metric.add_metric([value], number)
        else:
            metric.add_metric([], reading)
        return metric


class Metrics(Collector):
    """The registry of one process, with the two signs of its HTTP rim."""

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

    def watch(
        self,
        name: str,
        help_: str,
        read: Callable[[], Reading],
        *,
        kind: Kind = "gauge",
        label: str | None = None,
    ) -> None:
        """Read `parley_<name>` from its owner at every scrape."""
        self._signs.append(_Sign(f"parley_{name}", help_, kind, label, read))

    def collect(self) -> Iterable[Metric]:
        """Called by the registry."""
        return [sign.collect() for sign in self._signs]

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)
