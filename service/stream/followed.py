"""A chat that somebody follows here: its view, its open episode, its ring.

Events come from the tail, in order; what does not continue the view, or came without
data, marks the chat as behind, and the hub reads the log. Parts of the open episode
come from es.live_parts with contiguous seq; a hole asks for the whole episode again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from service.domain.chat.state import Episode
from service.eventstore.codec import decode
from service.eventstore.records import RecordedEvent
from service.live.read import LivePart, PartCursor
from service.stream.cursor import Cursor, format_cursor, short_digest
from service.stream.ring import ByteBudget, Ring
from service.stream.view import Frame, View, part_frame, preview_reset, see


class Parked(Protocol):
    """A follower that has everything and sleeps."""

    def take(self, chat: FollowedChat) -> bool:
        """Send what is new and sleep on; False: it is awake and goes on itself."""

    def wake(self) -> None:
        """Let it look for itself."""


class FollowedChat:
    """What all followers of one chat share. No await between two of its states."""

    def __init__(
        self,
        chat_id: UUID,
        view: View,
        digest: bytes,
        *,
        max_frames: int,
        budget: ByteBudget,
    ) -> None:
        self.chat_id = chat_id
        self.view = view
        self.digest = short_digest(digest) if view.version else None
        self.parts: list[LivePart] = []
        self.behind = False
        """The log holds more than the view; somebody must read it."""
        self.reading = False
        """Somebody is reading it."""
        self.hole = False
        self.ending: str | None = None
        """Why all followers are sent away, once they are."""
        self._bodies: list[bytes] = []
        self._budget = budget
        self._bodies_size = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._parked: list[Parked] = []
        self.ring = Ring(self.cursor, max_frames=max_frames, budget=budget)

    @property
    def cursor(self) -> Cursor:
        """The place after everything that was shown."""
        return Cursor(self.view.version, 0, self.part_cursor, self.digest)

    @property
    def part_cursor(self) -> PartCursor | None:
        """The last part shown of the open episode."""
        preview = self.view.preview
        if preview is None or not self.parts:
            return None
        return PartCursor(preview.epoch, preview.attempt, len(self.parts))

    def wants_parts_after(self) -> PartCursor | None:
        """From where live parts are to be read; None while no episode is open."""
        preview = self.view.preview
        if preview is None:
            return None
        seq = 0 if self.hole else len(self.parts)
        return PartCursor(preview.epoch, preview.attempt, seq)

    def apply(self, events: Sequence[RecordedEvent]) -> None:
        """Show events that continue the view; raises FutureEvent."""
        for event in events:
            if event.version <= self.view.version:
                continue
            if event.version != self.view.version + 1 or event.data is None:
                self.behind = True
                break
            self._apply(event)
        self.pulse()

    def _apply(self, event: RecordedEvent) -> None:
        before, part_before, digest_before = self.view, self.part_cursor, self.digest
        self.view, frames = see(
            before, self.chat_id, decode(event), at_border=event.at_border
        )
        if self.view.preview != before.preview:
            self._forget_parts()
        self.digest = short_digest(event.digest)
        for shown, frame in enumerate(frames[:-1], start=1):
            cursor = Cursor(before.version, shown, part_before, digest_before)
            self._push(frame, cursor)
        self._push(frames[-1] if frames else None, self.cursor)

    def deliver(self, parts: Sequence[LivePart]) -> bool:
        """Show parts of the open episode; True when there may be more to read."""
        preview = self.view.preview
        if preview is None:
            return False
        episode = (preview.epoch, preview.attempt)
        had_hole = self.hole
        for part in parts:
            if (part.epoch, part.attempt) != episode:
                continue
            if self.hole and part.seq == 1:
                self.hole = False
                self._forget_parts()
                reset = preview_reset(self.chat_id, self.view.version, preview)
                self._push(reset, self.cursor)
            if part.seq == len(self.parts) + 1:
                self._show_part(part)
            elif part.seq > len(self.parts) + 1:
                # the table was emptied by a crash, and is being written again
                self.hole = True
                break
        self.pulse()
        return self.hole and not had_hole

    def _show_part(self, part: LivePart) -> None:
        frame = part_frame(self.chat_id, self.view.version, part)
        self.parts.append(part)
        self._bodies.append(frame.body)
        self._bodies_size += len(frame.body)
        self._budget.used += len(frame.body)
        self._push(frame, self.cursor)

    def parts_after(self, seen: PartCursor | None) -> list[bytes]:
        """The open episode's frames after part `seen`, with ids for here and now."""
        preview = self.view.preview
        if preview is None:
            return []
        first = 0
        if seen is not None and _same_episode(seen, preview):
            first = seen.seq
        version, digest = self.view.version, self.digest
        return [
            encode_frame(
                body,
                format_cursor(
                    version,
                    0,
                    PartCursor(preview.epoch, preview.attempt, seq),
                    digest,
                ),
            )
            for seq, body in enumerate(self._bodies[first:], start=first + 1)
        ]

    def knows_part(self, seen: PartCursor | None) -> bool:
        """Whether a follower that saw this part is not ahead of what is known here."""
        preview = self.view.preview
        if preview is None or seen is None:
            return True
        return not _same_episode(seen, preview) or seen.seq <= len(self.parts)

    def end(self, reason: str) -> None:
        """Send all followers away with `bye`."""
        self.ending = reason
        self.wake()

    def pulse(self) -> None:
        """Give what is new to followers that sleep at the end; wake those who wait."""
        self._wake_waiters()
        self._parked = [follower for follower in self._parked if follower.take(self)]

    def wake(self) -> None:
        """Wake all followers."""
        self._wake_waiters()
        parked, self._parked = self._parked, []
        for follower in parked:
            follower.wake()

    def park(self, follower: Parked) -> None:
        """Let it sleep, at the end of the ring, until it takes no more or is woken."""
        self._parked.append(follower)

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def wait(self) -> asyncio.Future[None]:
        """Await it for the next pulse. No coroutine: its frame would cost memory."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        return waiter

    def close(self) -> None:
        """Give all bytes back."""
        self.ring.clear()
        self._forget_parts()

    def _forget_parts(self) -> None:
        self.parts.clear()
        self._bodies.clear()
        self._budget.used -= self._bodies_size
        self._bodies_size = 0
        self.hole = False

    def _push(self, frame: Frame | None, cursor: Cursor) -> None:
        body = frame.body if frame is not None else b"\n"
        self.ring.push(encode_frame(body, str(cursor)), cursor)


def encode_frame(body: bytes, cursor: str) -> bytes:
    """A block as it goes over the wire: `id` first, then the frame's body."""
    return b"id: %b\n%b" % (cursor.encode(), body)


def _same_episode(seen: PartCursor, episode: Episode) -> bool:
    return (seen.epoch, seen.attempt) == (episode.epoch, episode.attempt)
