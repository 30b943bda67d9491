"""One follower: from its cursor to the head, then along the ring, until it ends.

The follower holds a cursor and an index, no queue. `await send` gives the
back-pressure; a follower that the ring passed meanwhile reads the log from its cursor,
at its own pace. One that has everything sleeps; what is new is written to its client
without waking it, for as long as the client takes it at once.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

from service.domain.ids import ChatId
from service.errors import FutureEvent
from service.eventstore.handle import Chats
from service.live.read import PartCursor
from service.stream.catchup import Page, PastFrame
from service.stream.cursor import Cursor, short_digest
from service.stream.followed import FollowedChat, encode_frame
from service.stream.hub import AWAY, PURGED, Hub
from service.stream.outlet import Outlet
from service.stream.snapshot import snapshot
from service.stream.view import View, control_frame, snapshot_frame, view_at

RETRY_MS = 1_000
"""How long a client waits before it reconnects, when nothing is wrong."""
RETRY_JITTER_MS = 2_000
"""Spread over which many clients come back when they are all sent away at once."""
AWAY_PAUSE_S = 1.0
"""Pause before the log is read again while the database is away."""
LIFETIME_JITTER = 0.1
"""Share of the lifetime over which streams that began together end."""
SEND_BYTES = 64 * 1024
"""What uvicorn buffers before it makes the sender wait."""


class _Resync(Exception):
    """The cursor is well-formed but not to be honoured; the client gets a snapshot."""


class Follower:
    """One open stream of one chat. `cursor` None: begin with a snapshot."""

    __slots__ = (
        "_caught_up", "_chat_id", "_chats", "_cursor", "_digest", "_fresh", "_hub",
        "_index", "_lifetime_s", "_now", "_out", "_sleep", "_view",
    )  # fmt: skip

    def __init__(
        self,
        hub: Hub,
        chats: Chats,
        chat_id: ChatId,
        cursor: Cursor | None,
        *,
        now: bool = False,
        lifetime_s: float,
        out: Outlet,
    ) -> None:
        self._hub = hub
        self._chats = chats
        self._chat_id = chat_id
        self._cursor = cursor or Cursor(0)
        self._fresh = cursor is None and not now
        self._now = now
        self._lifetime_s = lifetime_s
        self._out = out
        self._view = View()
        self._digest: str | None = None
        self._caught_up = False
        self._index = 0
        """Where it goes on; kept here only while it sleeps."""
        self._sleep: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Write frames until the stream ends; returns after `bye`."""
        if self._hub.stale:
            await self._out.write(unavailable(self._chat_id))
            return
        try:
            async with self._hub.join(self._chat_id, self._out) as chat:
                if chat.ending == PURGED:
                    await self._bye(PURGED)
                    return
                if self._fresh:
                    await self._snapshot(chat, "snapshot")
                elif self._now:
                    self._stand_at(chat.view, chat.digest)
                    self._cursor = chat.cursor
                await self._follow(chat, chat.ring.index_after(self._cursor))
        except AWAY:
            await self._out.write(unavailable(self._chat_id))
        except FutureEvent:
            await self._bye("upgrade")

    async def _follow(self, chat: FollowedChat, index: int | None) -> None:
        hub, out, ring, peer = self._hub, self._out, chat.ring, self._out.peer
        lifetime = self._lifetime_s * (1 + random.uniform(0, LIFETIME_JITTER))
        deadline = out.loop.time() + lifetime
        beats = hub.heartbeats
        while True:
            if index is None or index < ring.start:
                index = await self._catch_up(chat)
                if index is None:
                    return
            if index < ring.end and (ready := ring.ready_at(index)) is not None:
                index, self._cursor = ready.end, ready.cursor
                if peer is None or not peer.offer(ready.chunk):
                    # Outlet.send without its coroutine
                    out.since = out.loop.time()
                    await out.raw_send(ready.message)
                    out.since = None
                continue
            if not self._caught_up:
                self._caught_up, out.opening = True, False
                await out.write(control_frame("caught_up", self._chat_id).body)
                continue
            self._view, self._digest = chat.view, chat.digest
            if chat.ending is not None or out.loop.time() >= deadline:
                await self._bye(chat.ending or "lifetime")
                return
            if beats != hub.heartbeats:
                beats = await self._beat()
            elif peer is None:
                await chat.wait()
            else:
                await self._fall_asleep(chat, index)
                index = self._index

    def _fall_asleep(self, chat: FollowedChat, index: int) -> asyncio.Future[None]:
        """Await it to sleep at the end of the ring. No coroutine: its frame costs."""
        self._index = index
        self._sleep = self._out.loop.create_future()
        chat.park(self)
        return self._sleep

    def take(self, chat: FollowedChat) -> bool:
        """Write what is new while asleep; False: awake, for one reason or another."""
        peer, ring, index = self._out.peer, chat.ring, self._index
        if peer is None or self._sleep is None or self._sleep.done():
            return False
        while ring.start <= index and (ready := ring.ready_at(index)) is not None:
            if not peer.offer(ready.chunk):
                break
            index, self._cursor = ready.end, ready.cursor
        self._index = index
        if index != ring.end:
            self.wake()
            return False
        self._view, self._digest = chat.view, chat.digest
        return True

    def wake(self) -> None:
        """Go on when the loop gets to it."""
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(None)

    async def _beat(self) -> int:
        """A comment, so that nobody takes the silence for a broken connection."""
        beats = self._hub.heartbeats
        await self._out.write(b": stale\n\n" if self._hub.stale else b": hb\n\n")
        return beats

    async def _catch_up(self, chat: FollowedChat) -> int | None:
        """Read the log until this place is in the ring; None: the stream ended."""
        beats = self._hub.heartbeats
        while chat.ending != PURGED:
            try:
                while (index := await self._approach(chat)) is None:
                    if chat.ending is not None:
                        await self._bye(chat.ending)
                        return None
                    if beats != self._hub.heartbeats:
                        beats = await self._beat()
                return index
            except _Resync as resync:
                await self._snapshot(chat, "resync", reason=str(resync))
            except AWAY:
                await self._out.write(b": stale\n\n")
                await asyncio.sleep(AWAY_PAUSE_S)
        await self._bye(PURGED)
        return None

    async def _approach(self, chat: FollowedChat) -> int | None:
        """One step towards the ring: the index there, or None: call again."""
        await self._stand(chat)
        index = chat.ring.index_after(self._cursor)
        if index is not None:
            return index
        if self._cursor.version == chat.view.version and not self._cursor.frames:
            if not chat.knows_part(self._cursor.part):
                # the client saw parts that this replica has yet to read
                await chat.wait()
                return None
            index, parts = chat.ring.end, chat.parts_after(self._cursor.part)
            self._cursor = chat.cursor
            await self._write(iter(parts))
            return index
        page = await self._hub.catchup.page_after(
            self._chat_id, self._view, self._digest
        )
        if page.frames:
            await self._write(self._past_frames(page))
            self._view, self._digest = page.view, page.digest
        elif self._cursor.frames:
            raise _Resync("frames")
        elif self._cursor.version > chat.view.version:
            await chat.wait()
        return None

    async def _stand(self, chat: FollowedChat) -> None:
        """Know the view at the cursor's version, and that it is our history."""
        cursor = self._cursor
        if self._view.version == cursor.version and (
            self._digest is not None or cursor.version == 0
        ):
            return
        if chat.view.version == cursor.version:
            self._stand_at(chat.view, chat.digest)
        else:
            base = self._view if self._view.version <= cursor.version else View()
            page = await self._hub.catchup.view_at(self._chat_id, base, cursor.version)
            if page is None:
                raise _Resync("ahead")
            self._stand_at(page.view, page.digest)
        if cursor.digest is not None and cursor.digest != self._digest:
            raise _Resync("history")
        preview, part = self._view.preview, cursor.part
        if part is not None and (
            preview is None
            or (preview.epoch, preview.attempt) != (part.epoch, part.attempt)
        ):
            raise _Resync("part")

    def _stand_at(self, view: View, digest: str | None) -> None:
        self._view, self._digest = view, digest

    def _past_frames(self, page: Page) -> Iterator[bytes]:
        """Encode a page's frames after the cursor, which moves along."""
        start, seen, part = self._cursor.version, self._cursor.frames, self._cursor.part
        first = [f for f in page.frames if f.version == start + 1]
        if seen and (len(first) <= seen or first[-1].shown == 0):
            raise _Resync("frames")
        for frame in page.frames:
            if frame.version == start + 1 and frame.shown and frame.shown <= seen:
                continue
            if frame.last and not _in_episode(part, frame):
                part = None
            self._cursor = _cursor_after(frame, part)
            yield encode_frame(frame.body, str(self._cursor))

    async def _write(self, frames: Iterator[bytes]) -> None:
        """Send frames, several at a time."""
        chunk: list[bytes] = []
        size = 0
        for frame in frames:
            chunk.append(frame)
            size += len(frame)
            if size >= SEND_BYTES:
                await self._out.write(b"".join(chunk))
                chunk, size = [], 0
        if chunk:
            await self._out.write(b"".join(chunk))

    async def _snapshot(self, chat: FollowedChat, name: str, **extra: str) -> None:
        """Send the whole chat as it is, with the preview when that is known here."""
        async with self._hub.catchup.turn:
            loaded = await self._chats.load(self._chat_id)
        if loaded.version and not loaded.state.exists:
            chat.end(PURGED)
            return
        digest = short_digest(loaded.digest)
        same = (loaded.version, digest) == (chat.view.version, chat.digest)
        part = chat.part_cursor if same else None
        self._stand_at(view_at(loaded.state), digest)
        self._cursor = Cursor(loaded.version, 0, part, digest)
        frame = snapshot_frame(
            name,
            self._chat_id,
            loaded.version,
            **extra,
            **snapshot(self._chat_id, loaded.state),
            preview=_preview(chat, part),
        )
        await self._out.write(encode_frame(frame.body, str(self._cursor)))

    async def _bye(self, reason: str) -> None:
        retry = RETRY_MS
        if reason != "lifetime":
            retry += random.randrange(RETRY_JITTER_MS)
        frame = control_frame("bye", self._chat_id, reason=reason)
        await self._out.write(b"retry: %d\n%b" % (retry, frame.body))


def unavailable(chat_id: ChatId | None) -> bytes:
    """What a stream says that cannot start now; it ends, and the client comes back.

    Any status but 200 would stop an EventSource for good.
    """
    retry = RETRY_MS + random.randrange(RETRY_JITTER_MS)
    error = {"message": "the database is away; reconnect", "retryable": True}
    frame = control_frame("error", chat_id, error=error)
    return b"retry: %d\n%b" % (retry, frame.body)


def _preview(chat: FollowedChat, part: PartCursor | None) -> dict[str, Any] | None:
    if part is None:
        return None
    return {
        "epoch": part.epoch,
        "attempt": part.attempt,
        "seq": part.seq,
        "parts": [live.data for live in chat.parts],
    }


def _in_episode(part: PartCursor | None, frame: PastFrame) -> bool:
    return part is not None and frame.episode == (part.epoch, part.attempt)


def _cursor_after(frame: PastFrame, part: PartCursor | None) -> Cursor:
    if frame.last:
        return Cursor(frame.version, 0, part, frame.digest)
    return Cursor(frame.version - 1, frame.shown, part, frame.digest or None)
