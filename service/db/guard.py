"""The guard against waiting while a connection is held.

A connection that waits for another one can dead-lock a pool; one that waits for a
model holds locks for minutes. `Pool` marks the task while a connection is out; whatever
may be slow calls `check` first. Tests raise; production counts and goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

from service.errors import HeldConnection

logger = logging.getLogger(__name__)

GuardMode = Literal["raise", "count"]

_held: ContextVar[str | None] = ContextVar("held_connection", default=None)


class Guard:
    """Knows whether this task holds a connection. One per process, shared by all."""

    def __init__(self, mode: GuardMode = "count") -> None:
        self._mode = mode
        self.violations = 0

    @contextmanager
    def holding(self, what: str) -> Iterator[None]:
        """Mark this task as holding `what`; raises or counts when it already does."""
        self.check(f"taking {what}")
        token = _held.set(what)
        try:
            yield
        finally:
            _held.reset(token)

    def check(self, action: str) -> None:
        """Call before anything slow: append, model, HTTP, a second connection."""
        held = _held.get()
        if held is None:
            return
        self.violations += 1
        if self._mode == "raise":
            raise HeldConnection(f"{action} while holding {held}; release it first")
        logger.warning(
            "connection held across a slow call",
            extra={"action": action, "held": held},
        )
