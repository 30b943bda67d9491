"""Signs are read from their owners when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass

from service.metrics import Metrics


@dataclass
class Part:
    events: int = 0
    waiting: int = 0


def test_counters_and_gauges_show_what_their_owner_has_now() -> None:
    metrics, part = Metrics(), Part()
    metrics.counters("part", part, {"events": "Events"})
    metrics.gauges("part", part, {"waiting": "Waiting"})
    part.events, part.waiting = 3, 2
    lines = metrics.render().decode().splitlines()
    assert "parley_part_events_total 3.0" in lines
    assert "parley_part_waiting 2.0" in lines
    assert "# TYPE parley_part_events_total counter" in lines
    part.waiting = 1
    assert "parley_part_waiting 1.0" in metrics.render().decode().splitlines()
