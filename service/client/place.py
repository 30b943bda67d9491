"""Where a follower is in a stream, and how long it waits before it comes back."""

from __future__ import annotations

import random

from service import wire
from service.client.shapes import Frame
from service.client.sse import Block

RETRY_MS = 1_000
"""Until the server names another pause."""
RETRY_MAX_MS = 30_000


class Place:
    """`id` names the last frame that was given out; empty: the stream's start."""

    def __init__(self, id_: str) -> None:
        self.id = id_
        self.failures = 0
        self._retry_ms = RETRY_MS

    def take(self, block: Block) -> Frame | None:
        """Move on past a block; the frame in it, if it is one for the caller."""
        if block.retry_ms is not None:
            self._retry_ms = block.retry_ms
        self.id = block.id
        if block.data is None:
            return None
        self.failures = 0
        data = wire.loads(block.data)
        if block.event == "bye" or (block.event == "error" and "version" not in data):
            return None
        return Frame(block.id, block.event, data)

    def pause_s(self) -> float:
        """Seconds: the server's wish, doubled with every connection that failed."""
        wish_ms: int = self._retry_ms << min(self.failures, 10)
        return min(wish_ms, RETRY_MAX_MS) / 1000 * random.uniform(0.5, 1)
