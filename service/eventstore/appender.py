"""Append in batches: what arrives while a commit is in flight goes into the next one.

The log takes one commit at a time, so speed comes from fewer commits. Two lanes (a
connection and a task each) carry batches; the second one joins when there is enough
to do, so that one batch is encoded and answered while Postgres works on the other.

Each request is appended exactly once: it carries a key, so a batch whose connection
was lost is simply sent again, and es.append knows the requests that got through. A
caller that gives up before its request was sent withdraws it; after that the request
runs to its end without the caller.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict

import psycopg

from service.db.guard import Guard
from service.db.pool import Database
from service.errors import AppenderFull, DatabaseAway, ParleyError, Unavailable
from service.eventstore import store
from service.eventstore.answers import (
    bad_event,
    is_passing,
    own_sending,
    result_of,
    unknown,
)
from service.eventstore.batch import (
    encode_long_request,
    encode_request,
    is_long,
)
from service.eventstore.lane import Lane
from service.eventstore.lineup import Entry, Lineup
from service.eventstore.records import AppendRequest, AppendResult
from service.eventstore.store import RequestOutcome
from service.eventstore.tally import Tally

logger = logging.getLogger(__name__)

LANES = 2
"""One commit in flight and one being prepared; more would wait for the log's lock."""

SECOND_LANE_FROM = 16
"""Ready requests that are worth a second batch. One batch of 64 costs a third less CPU
than two halves, but its client waits while the server works: on a quiet machine 64
writers appended 10,100 events/s with one, 15,800 with two."""

QUEUE_BYTES = 64 * 1024 * 1024
"""JSON that may wait; 10,000 messages of ordinary size, or 256 of the largest."""


class Appender:
    """The one way into the log. Enter it to start, leave it to drain and close.

    `queue_size` bounds the requests without an answer; `deadline_s` is how long a
    caller waits for one.
    """

    def __init__(
        self, database: Database, *, guard: Guard, queue_size: int, deadline_s: float
    ) -> None:
        self._guard = guard
        self._queue_size = queue_size
        self._deadline_s = deadline_s
        self._lanes = [Lane(database, name=f"appender-{n + 1}") for n in range(LANES)]
        self._tasks: list[asyncio.Task[None]] = []
        self._lineup = Lineup()
        self._unanswered: OrderedDict[Entry, None] = OrderedDict()
        self._bytes = 0
        self._idle: list[asyncio.Future[None]] = []
        self._flying = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._drained = asyncio.Event()
        self.tally = Tally()

    async def __aenter__(self) -> Appender:
        self._tasks = [
            asyncio.create_task(self._work(lane), name=lane.name)
            for lane in self._lanes
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Answer everything that waits, at most for the deadline, then close."""
        self._closing = True
        try:
            if self._unanswered:
                await self._drained.wait()
        finally:
            await self._stop()

    @property
    def waiting(self) -> int:
        """Requests without an answer."""
        return len(self._unanswered)

    async def append(self, request: AppendRequest) -> AppendResult:
        """Append one request; returns when it is committed.

        Raises WrongExpectedVersion, KeyReused, StreamPurged, BadEvent; AppendUnknown
        when the deadline passed after it was sent; another Unavailable (AppenderFull,
        DatabaseAway) when nothing was appended.
        """
        self._guard.check("append")
        if is_long(request):
            encoded = await encode_long_request(request)
        else:
            encoded = encode_request(request)
        self._check_room(encoded.size)
        loop = asyncio.get_running_loop()
        entry = Entry(encoded, loop.create_future(), loop.time() + self._deadline_s)
        self._join(entry)
        try:
            outcome = await entry.answer
        except asyncio.CancelledError:
            self._abandon(entry)
            raise
        return result_of(request, outcome)

    def _check_room(self, size: int) -> None:
        if self._closing:
            raise Unavailable("the appender is shutting down; nothing was appended")
        if len(self._unanswered) >= self._queue_size:
            raise AppenderFull(
                f"{self._queue_size} appends are waiting; try again later"
            )
        if self._unanswered and self._bytes + size > QUEUE_BYTES:
            raise AppenderFull(
                f"appends of {self._bytes} bytes are waiting; try again later"
            )

    def _join(self, entry: Entry) -> None:
        self._unanswered[entry] = None
        self._bytes += entry.encoded.size
        self._lineup.add(entry)
        self._set_timer()
        self._wake()

    def _leave(self, entry: Entry) -> None:
        """Done with it: answered, refused or withdrawn."""
        self._forget(entry)
        self._lineup.remove(entry)
        self._wake()

    def _abandon(self, entry: Entry) -> None:
        """Its caller was cancelled: withdraw it if nobody has sent it yet."""
        if not entry.answer.cancelled():
            # answered in the same moment: look at it, or asyncio reports it as lost
            entry.answer.exception()
        elif not entry.sent:
            self._leave(entry)

    def _forget(self, entry: Entry) -> None:
        if entry not in self._unanswered:
            return
        del self._unanswered[entry]
        self._bytes -= entry.encoded.size
        if self._closing and not self._unanswered:
            self._drained.set()

    # lanes

    async def _work(self, lane: Lane) -> None:
        while True:
            await self._turn()
            await lane.open()
            batch = self._lineup.take(self._share())
            if batch:
                await self._carry(lane, batch)

    async def _turn(self) -> None:
        """Wait until there is something for one more lane to do."""
        while not self._wanted():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(waiter)
            try:
                await waiter
            finally:
                if waiter in self._idle:
                    self._idle.remove(waiter)

    def _wanted(self) -> bool:
        ready = self._lineup.ready
        return ready >= SECOND_LANE_FROM or (ready > 0 and not self._flying)

    def _wake(self) -> None:
        if self._idle and self._wanted():
            self._idle.pop().set_result(None)

    def _share(self) -> int:
        """Requests for one lane, so that the other one has as much to do."""
        return max(SECOND_LANE_FROM, (len(self._unanswered) + 1) // LANES)

    async def _carry(self, lane: Lane, batch: list[Entry]) -> None:
        """Send a batch; what the database refuses is sent again in halves, down to the
        single request that is bad. Only that one fails.

        Without a connection the batch goes back to the head of the queue, and whichever
        lane works first takes it.
        """
        groups = [batch]
        while groups:
            group = groups.pop()
            try:
                outcomes = await self._send(lane, group)
            except psycopg.Error as error:
                if is_passing(error):
                    groups.append(group)
                    self._put_back([e for g in reversed(groups) for e in g])
                    await lane.pause(error)
                    return
                if len(group) > 1:
                    half = len(group) // 2
                    groups += [group[half:], group[:half]]
                else:
                    self._refuse(group[0], bad_event(error))
            except Exception as error:
                logger.exception("append failed unexpectedly")
                for entry in group:
                    self._refuse(entry, unknown(error))
                await lane.close()
            else:
                lane.worked()
                self.tally.count(outcomes)
                for entry, outcome in zip(group, outcomes, strict=True):
                    self._answer(entry, outcome)

    async def _send(self, lane: Lane, group: list[Entry]) -> list[RequestOutcome]:
        connection = await lane.open()
        clock = asyncio.get_running_loop().time
        self._flying += 1
        for entry in group:
            entry.sent += 1
            entry.flying = True
        try:
            sent_at = clock()
            outcomes = await store.append_encoded(
                connection, [entry.encoded for entry in group]
            )
            self.tally.commit_seconds.observe(clock() - sent_at)
            for n, entry in enumerate(group):
                if entry.sent > 1 and outcomes[n].outcome == "duplicate":
                    outcomes[n] = await own_sending(
                        connection, entry.encoded.request, outcomes[n]
                    )
        finally:
            self._flying -= 1
            for entry in group:
                entry.flying = False
        return outcomes

    def _put_back(self, batch: list[Entry]) -> None:
        """First in the queue again, but for those whose callers were told `unknown`:
        nobody expects them to come true later."""
        self._lineup.put_back([entry for entry in batch if not entry.expired])
        for entry in batch:
            if entry.expired:
                self._lineup.remove(entry)
        self._wake()

    # answers

    def _answer(self, entry: Entry, outcome: RequestOutcome) -> None:
        if not entry.answer.done():
            entry.answer.set_result(outcome)
        self._leave(entry)

    def _refuse(self, entry: Entry, error: ParleyError) -> None:
        if not entry.answer.done():
            entry.answer.set_exception(error)
        self._leave(entry)

    # deadlines: all waits are equally long, so the oldest entry is due first

    def _set_timer(self) -> None:
        if self._timer is None and self._unanswered:
            oldest = next(iter(self._unanswered))
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(oldest.deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now, given_up = asyncio.get_running_loop().time(), 0
        while self._unanswered:
            entry = next(iter(self._unanswered))
            if entry.deadline > now:
                break
            self._give_up(entry)
            given_up += 1
        if given_up:
            # connected and nothing moves: somebody holds the lock of the log
            logger.error(
                "appends were not answered in time",
                extra={
                    "requests": given_up,
                    "waiting": len(self._unanswered),
                    "connected": any(lane.is_open for lane in self._lanes),
                },
            )
        self._set_timer()

    def _give_up(self, entry: Entry) -> None:
        if not entry.sent:
            self._refuse(entry, self._never_sent())
        elif not entry.flying:
            self._refuse(entry, unknown())
        else:
            entry.expired = True
            self._forget(entry)
            if not entry.answer.done():
                entry.answer.set_exception(unknown())

    def _never_sent(self) -> Unavailable:
        if any(lane.is_open for lane in self._lanes):
            return AppenderFull(
                f"not sent within {self._deadline_s} s, nothing was appended; "
                "try again later"
            )
        return DatabaseAway(
            f"no connection for {self._deadline_s} s, nothing was appended; "
            "try again later"
        )

    async def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for entry in list(self._unanswered):
            self._refuse(entry, unknown())
        for lane in self._lanes:
            await lane.close()
