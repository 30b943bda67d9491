"""What a scale test measures, by the names of the metrics that it stands for."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Phase = Literal["initial", "follow_up"]
Stage = Literal[
    "create_chat", "create_message", "stream_open", "stream_ended_early",
    "status_error", "timeout", "comparison",
]  # fmt: skip

CREATE = "chat_create_latency_seconds"
MESSAGE = "chat_message_latency_seconds"
"""Of the request that begins a turn; the initial one is the create."""
RUNNING = "chat_time_to_running_seconds"
"""This and the next two: from sending that request to the frame at the client."""
OUTPUT = "chat_time_to_first_output_seconds"
TERMINAL = "chat_time_to_terminal_status_seconds"
CONVERSATION = "chat_conversation_duration_seconds"

PERCENTILES = (50, 95, 99)


class Failure(NamedTuple):
    """Where a chat failed, and why."""

    stage: Stage
    reason: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Samples in seconds; a percentile is a sample, never between two."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float


def summary(samples: Sequence[float]) -> Summary:
    """Of at least one sample."""
    ordered = sorted(samples)
    p50, p95, p99 = (
        ordered[math.ceil(len(ordered) * percent / 100) - 1] for percent in PERCENTILES
    )
    return Summary(len(ordered), p50, p95, p99, ordered[-1])


@dataclass
class Figures:
    """Everything that is counted and timed while chats run."""

    samples: dict[str, dict[Phase | None, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """By measure and phase; None where a measure has no phases."""
    failures: Counter[Failure] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    """What the turns that ended left their chats in."""
    turns: int = 0
    """Turns completed."""
    retries: int = 0
    """Attempts of a model that failed and were made again."""
    streams: int = 0
    """Streams that are followed now."""

    def time(self, measure: str, seconds: float, phase: Phase | None = None) -> None:
        """Keep a sample."""
        self.samples[measure][phase].append(seconds)

    def fail(self, stage: Stage, reason: str) -> None:
        """Count a failure."""
        self.failures[Failure(stage, reason)] += 1

    def summaries(self) -> dict[str, dict[Phase | None, Summary]]:
        """Every measure that has samples."""
        return {
            measure: {phase: summary(samples) for phase, samples in phases.items()}
            for measure, phases in self.samples.items()
        }
