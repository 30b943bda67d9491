"""Who waits to be appended, and whose turn it is: one request in flight per stream.

Every request stands in a line for each of its streams and is ready when it heads all
of them. It enters all its lines at once, so lines never block each other in a circle.
Plain bookkeeping: no clock, no I/O, no tasks.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from service.eventstore.batch import EncodedRequest
from service.eventstore.store import RequestOutcome

BATCH_EVENTS = 500
"""Events a batch: 20 ms of head lock; more gains nothing (measured from 64 on)."""

BATCH_BYTES = 1024 * 1024
"""JSON a batch; keeps the lock short when events are large."""


class Entry:
    """A request on its way; its caller waits on `answer`."""

    __slots__ = (
        "answer",
        "blockers",
        "deadline",
        "encoded",
        "expired",
        "flying",
        "sent",
        "streams",
    )

    def __init__(
        self,
        encoded: EncodedRequest,
        answer: asyncio.Future[RequestOutcome],
        deadline: float,
    ) -> None:
        self.encoded = encoded
        self.answer = answer
        self.deadline = deadline
        # the number of a uuid hashes five times as fast as the uuid
        self.streams = [s.stream.stream_id.int for s in encoded.request.streams]
        self.blockers = 0
        """Lines that somebody else heads."""
        self.sent = 0
        """How often it was part of a statement; more than once after a failure."""
        self.flying = False
        """Part of a statement right now."""
        self.expired = False
        """Its caller was told that the outcome is unknown, while it was in flight."""


class Lineup:
    """Waiting requests in order of arrival, and the streams that are in flight."""

    def __init__(self) -> None:
        self._lines: dict[int, OrderedDict[Entry, None]] = {}
        self._ready: OrderedDict[Entry, None] = OrderedDict()

    @property
    def ready(self) -> int:
        """How many requests `take` could choose from."""
        return len(self._ready)

    def add(self, entry: Entry) -> None:
        """Stand in all lines."""
        for stream in entry.streams:
            line = self._lines.get(stream)
            if line is None:
                self._lines[stream] = OrderedDict({entry: None})
            else:
                line[entry] = None
                entry.blockers += 1
        if not entry.blockers:
            self._ready[entry] = None

    def take(self, most: int) -> list[Entry]:
        """The next batch of at most `most`; it heads its lines until `remove`.

        Within the limits, but never empty-handed while somebody is ready: a request
        that passes them alone is a batch of its own.
        """
        batch: list[Entry] = []
        events = size = 0
        while self._ready and len(batch) < most:
            entry = next(iter(self._ready))
            events += entry.encoded.events
            size += entry.encoded.size
            if batch and (events > BATCH_EVENTS or size > BATCH_BYTES):
                break
            del self._ready[entry]
            batch.append(entry)
        return batch

    def put_back(self, batch: Sequence[Entry]) -> None:
        """Ready again, in front of all others; undoes `take`."""
        for entry in reversed(batch):
            self._ready[entry] = None
            self._ready.move_to_end(entry, last=False)

    def remove(self, entry: Entry) -> None:
        """Leave all lines, answered or withdrawn; whoever heads them now may go."""
        self._ready.pop(entry, None)
        for stream in entry.streams:
            line = self._lines[stream]
            headed = next(iter(line)) is entry
            del line[entry]
            if not line:
                del self._lines[stream]
            elif headed:
                self._advance(next(iter(line)))

    def _advance(self, entry: Entry) -> None:
        entry.blockers -= 1
        if not entry.blockers:
            self._ready[entry] = None
