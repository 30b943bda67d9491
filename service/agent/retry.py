"""How long to wait after an attempt that failed in a way that may pass. Pure."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_ASKED_S = 86_400.0
"""A vendor that asks for more than a day is not obeyed to the letter."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """1 s, doubled up to a minute; the vendor's own wish when that is longer."""

    first_s: float = 1.0
    longest_s: float = 60.0
    attempts: int = 25
    """In a row, on the same history; twenty minutes in all, then a person must see."""

    def delay_s(self, attempt: int, *, asked_s: float | None = None) -> float | None:
        """Seconds between attempt `attempt` (from 1) and the next; None: give up."""
        if attempt >= self.attempts:
            return None
        ours = min(self.longest_s, self.first_s * 2.0 ** (attempt - 1))
        return max(ours, min(asked_s or 0.0, LONGEST_ASKED_S))
