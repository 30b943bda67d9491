"""Pauses between tries: longer after each failure, never in step with others."""

from __future__ import annotations

import random

FIRST_S = 0.1
LONGEST_S = 5.0
"""A person who waits notices; a database that is down does not mind."""


class Backoff:
    """0.1 s, doubled up to 5 s, each up to a half shorter."""

    def __init__(self) -> None:
        self._failures = 0

    def next(self) -> float:
        """Seconds to pause after one more failure."""
        pause = min(LONGEST_S, FIRST_S * 2.0**self._failures)
        self._failures += 1
        return pause * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """It worked."""
        self._failures = 0
