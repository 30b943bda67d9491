"""What the appender counts for metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from service.eventstore.buckets import Buckets
from service.eventstore.store import RequestOutcome

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30)
"""Half a millisecond is an idle commit on a local disk; 30 s is the append deadline."""
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Doubling: what matters is whether appends share their commits at all."""


@dataclass(slots=True)
class Tally:
    """What the appender did since the process started; read by metrics."""

    events: int = 0
    batches: int = 0
    requests: int = 0
    conflicts: int = 0
    batch_requests: Buckets = field(default_factory=lambda: Buckets(SIZES))
    """Requests that shared a commit."""
    commit_seconds: Buckets = field(default_factory=lambda: Buckets(SECONDS))
    """From the statement's sending to its answer."""

    def count(self, outcomes: Sequence[RequestOutcome]) -> None:
        """Add a batch that was committed."""
        self.batches += 1
        self.batch_requests.observe(len(outcomes))
        self.requests += len(outcomes)
        for outcome in outcomes:
            if outcome.outcome == "conflict":
                self.conflicts += 1
            elif outcome.outcome == "appended":
                self.events += sum(
                    s.last_version - s.first_version + 1 for s in outcome.streams
                )
