"""The encoded frames of one followed chat, bounded by count and by bytes.

A follower is an index into the ring; it holds no queue of its own. Each frame is kept
with the cursor after it, so that a reconnecting follower finds its place again, and its
bytes carry that cursor as `id`.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from service.stream.cursor import Cursor

JOINED = 64
"""Frames a late follower takes in one send."""
KEPT = 16
"""Places for which the next frames are kept together: followers of a live chat stand
at few; those who come back stand anywhere, and their joined frames are not budgeted."""


class Ready(NamedTuple):
    """The next frames of all followers at one index, ready to be sent."""

    end: int
    """The index after them."""
    cursor: Cursor
    """The cursor after them."""
    message: dict[str, Any]
    """As an ASGI message."""
    chunk: bytes
    """As a chunk of HTTP, for who writes past ASGI."""


class ByteBudget:
    """Bytes that all rings of a process may hold together."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0


class Ring:
    """Frames `start` to `end`; indices only grow, old frames fall off the front."""

    def __init__(self, origin: Cursor, *, max_frames: int, budget: ByteBudget) -> None:
        self._frames: deque[bytes] = deque()
        self._cursors: deque[Cursor] = deque()
        self._before = origin
        self._max_frames = max_frames
        self._budget = budget
        self._joined: dict[int, Ready] = {}
        self.start = 0
        self.end = 0
        """The index after the newest frame."""
        self.bytes = 0

    def push(self, frame: bytes, cursor: Cursor) -> None:
        """Append a frame; the oldest go when there are too many."""
        self._joined.clear()
        self._frames.append(frame)
        self._cursors.append(cursor)
        self.end += 1
        self._count(len(frame))
        if len(self._frames) > self._max_frames:
            self.drop_oldest()

    def drop_oldest(self) -> None:
        """Let the oldest frame go; followers before it read the log instead."""
        self._joined.clear()
        self._count(-len(self._frames.popleft()))
        self._before = self._cursors.popleft()
        self.start += 1

    def clear(self) -> None:
        """Let all frames go."""
        while self._frames:
            self.drop_oldest()

    def index_after(self, cursor: Cursor) -> int | None:
        """Where a follower at exactly this cursor goes on; None: not in the ring."""
        for back, known in enumerate(reversed(self._cursors)):
            if known == cursor:
                return self.end - back
        return self.start if self._before == cursor else None

    def cursor_before(self, index: int) -> Cursor:
        """The cursor of a follower that goes on at `index`, which is in the ring."""
        if index == self.start:
            return self._before
        return self._cursors[index - self.start - 1]

    def ready_at(self, index: int) -> Ready | None:
        """The next frames together, shared by all followers at `index`.

        None: nothing there yet.
        """
        joined = self._joined.get(index)
        if joined is not None:
            return joined
        first = index - self.start
        last = min(first + JOINED, len(self._frames))
        if first >= last:
            return None
        body = b"".join(self._frames[i] for i in range(first, last))
        chunk = b"%x\r\n%b\r\n" % (len(body), body)
        if len(self._joined) >= KEPT:
            self._joined.clear()
        end = self.start + last
        ready = Ready(end, self.cursor_before(end), body_message(body), chunk)
        self._joined[index] = ready
        return ready

    def _count(self, size: int) -> None:
        self.bytes += size
        self._budget.used += size


def body_message(body: bytes) -> dict[str, Any]:
    """An ASGI message with more of the response's body."""
    return {"type": "http.response.body", "body": body, "more_body": True}
