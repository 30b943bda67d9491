"""Signs are read from their owners when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from projections.runner import Tally as Projected
from service.agent.heartbeat import Heartbeat
from service.agent.worker import Worker
from service.api.host import ApiHost
from service.api.limits import Limits
from service.db.guard import Guard
from service.db.pool import Database, Pool
from service.eventstore.appender import Appender
from service.eventstore.buckets import Buckets
from service.eventstore.handle import Chats
from service.eventstore.tally import Tally
from service.live.flush import Flusher
from service.metrics import PARTS, Metrics, Sign
from service.stream.feeds import Feeds
from service.stream.hub import Hub
from service.subscription.listener import Listener
from service.subscription.tail import Tail

READS: Mapping[str, type] = {
    "pool": Pool, "chats": Chats,
    "appends": Appender, "listener": Listener, "tail": Tail, "worker": Worker,
    "lease": Heartbeat, "live": Flusher, "stream": Hub, "feeds": Feeds, "http": ApiHost,
}  # fmt: skip


@dataclass(frozen=True)
class Behind:
    projection: str
    events_behind: int = 0
    seconds_behind: float = 0.0


def lines(metrics: Metrics) -> list[str]:
    return metrics.render().decode().splitlines()


def test_an_appenders_signs_are_read_when_they_are_asked_for() -> None:
    metrics, tally = Metrics(), Tally()
    metrics.watch("appender", tally)
    assert "parley_appender_events_total 0.0" in lines(metrics)
    tally.events, tally.conflicts = 3, 1
    tally.batch_requests.observe(5)
    tally.commit_seconds.observe(0.002)
    shown = lines(metrics)
    assert "# TYPE parley_appender_events_total counter" in shown
    assert "parley_appender_events_total 3.0" in shown
    assert "parley_appender_conflicts_total 1.0" in shown
    assert 'parley_appender_batch_requests_bucket{le="4.0"} 0.0' in shown
    assert 'parley_appender_batch_requests_bucket{le="8.0"} 1.0' in shown
    assert "parley_appender_batch_requests_sum 5.0" in shown
    assert 'parley_appender_commit_seconds_bucket{le="+Inf"} 1.0' in shown


def test_gauges_go_down_too() -> None:
    metrics, part = Metrics(), SimpleNamespace(waiting=2)
    metrics.watch("appends", part)
    assert "parley_appends_waiting 2.0" in lines(metrics)
    part.waiting = 1
    assert "parley_appends_waiting 1.0" in lines(metrics)


def test_what_is_counted_by_purpose_has_a_label() -> None:
    metrics, database = Metrics(), Database("")
    metrics.watch("database", database)
    database.statements["lease"] += 2
    database.statements["live"] += 1
    shown = lines(metrics)
    assert 'parley_database_statements_total{purpose="lease"} 2.0' in shown
    assert 'parley_database_statements_total{purpose="live"} 1.0' in shown


def test_a_slow_call_with_a_connection_is_counted() -> None:
    metrics, guard = Metrics(), Guard("count")
    metrics.watch("guard", guard)
    with guard.holding("a connection"):
        guard.check("append")
    assert "parley_guard_violations_total 1.0" in lines(metrics)


def test_parked_and_stopped_projections_are_counted() -> None:
    metrics, tally = Metrics(), Projected()
    metrics.watch("projector", tally)
    tally.parked, tally.stopped = 2, 1
    assert "parley_projector_parked_total 2.0" in lines(metrics)
    assert "parley_projector_stopped_total 1.0" in lines(metrics)


def test_lag_of_a_read_model_that_is_gone_is_not_told_for_ever() -> None:
    metrics = Metrics()
    metrics.show_lag([Behind("chats", 4, 1.5), Behind("words")])
    metrics.show_lag([Behind("chats", 3, 0.5)])
    shown = lines(metrics)
    assert 'parley_projection_lag_events{projection="chats"} 3.0' in shown
    assert 'parley_projection_lag_seconds{projection="chats"} 0.5' in shown
    assert not [line for line in shown if "words" in line]


@pytest.mark.parametrize(
    ("part", "sign"), [(part, sign) for part, signs in PARTS.items() for sign in signs]
)
def test_every_sign_has_a_help_and_is_read_from_its_part(part: str, sign: Sign) -> None:
    assert sign.help[0].isupper()
    assert not sign.help.endswith(".")
    owner = READS.get(part)
    if owner is None:
        made = {
            "appender": Tally(), "guard": Guard(), "projector": Projected(),
            "database": Database(""), "limits": Limits(),
        }[part]  # fmt: skip
        assert hasattr(made, sign.attribute)
    else:
        names = {*dir(owner), *owner.__init__.__code__.co_names}
        assert sign.attribute in names


def test_a_value_belongs_to_the_bucket_of_its_bound() -> None:
    buckets = Buckets((1, 2.5))
    for value in (0, 1, 1.5, 2.5, 7):
        buckets.observe(value)
    assert buckets.cumulative() == [("1.0", 2), ("2.5", 4), ("+Inf", 5)]
    assert buckets.sum == 12
