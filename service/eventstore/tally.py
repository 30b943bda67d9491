"""What the appender counts for metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.eventstore.store import RequestOutcome


@dataclass(slots=True)
class Tally:
    """What the appender did since the process started; read by metrics."""

    events: int = 0
    batches: int = 0
    requests: int = 0
    conflicts: int = 0

    def count(self, outcomes: Sequence[RequestOutcome]) -> None:
        """Add a batch that was committed."""
        self.batches += 1
        self.requests += len(outcomes)
        for outcome in outcomes:
            if outcome.outcome == "conflict":
                self.conflicts += 1
            elif outcome.outcome == "appended":
                self.events += sum(
                    s.last_version - s.first_version + 1 for s in outcome.streams
                )
