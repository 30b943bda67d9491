"""All chats that somebody follows in this process.

The tail feeds it heads and data; it feeds rings; followers read the rings. A chat is
here while it has followers. Joining comes before reading the log, so nothing that is
committed in between can be missed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Sequence
from itertools import groupby
from typing import Any, NoReturn
from uuid import UUID

import psycopg
import psycopg_pool

from service.db.pool import Connection, Pool
from service.domain.ids import ChatId
from service.errors import FutureEvent, Unavailable
from service.eventstore.codec import STREAM_PURGED
from service.eventstore.handle import Chats
from service.eventstore.records import RecordedEvent
from service.live.read import LivePart, read_newer
from service.stream.catchup import Catchup
from service.stream.followed import FollowedChat
from service.stream.outlet import Outlet
from service.stream.ring import ByteBudget
from service.stream.view import view_at

logger = logging.getLogger(__name__)

PARTS_A_READ = 512
"""Live parts read per chat and pass: 10 s of one model at 50 parts a second."""
ALIVE, STALE = b": hb\n\n", b": stale\n\n"
"""Comments, so that nobody takes the silence for a broken connection."""
AWAY = (psycopg.OperationalError, psycopg_pool.PoolTimeout, Unavailable)
"""What a database that is away looks like from here."""
RETRY_READ_S = 0.5
"""Pause before a chat that is behind is read again while the database is away."""
PURGED = "purged"
"""Why the streams of a chat end whose content is erased; a reconnect gets 404."""


class Hub:
    """Owns the followed chats; `run` must be running while anybody follows."""

    def __init__(
        self,
        *,
        chats: Chats,
        pool: Pool,
        ring_frames: int,
        ring_bytes: int,
        heartbeat_s: float,
        send_timeout_s: float,
        ring_live: Callable[[str | None], None],
    ) -> None:
        self._chats = chats
        self._ring_frames = ring_frames
        self._budget = ByteBudget(ring_bytes)
        self._heartbeat_s = heartbeat_s
        self._send_timeout_s = send_timeout_s
        self._outlets: set[Outlet] = set()
        self._ring_live = ring_live
        self._followed: dict[UUID, _Entry] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.catchup = Catchup(pool, self.spawn)
        self.stale = False
        self.heartbeats = 0
        self.ending: str | None = None

    async def run(self) -> NoReturn:
        """Beat the heartbeat that all streams share; cancelled at the end."""
        try:
            while True:
                await asyncio.sleep(self._heartbeat_s)
                self.heartbeats += 1
                self._pulse()
                for outlet in self._outlets:
                    outlet.cut_if_stalled(self._send_timeout_s)
                    outlet.beat(STALE if self.stale else ALIVE)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a read that several followers wait for; the hub owns the task."""
        task = asyncio.create_task(work, name="stream-read")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def join(self, chat_id: ChatId, outlet: Outlet) -> Joined:
        """Follow a chat while entered; `outlet` is cut when its client stalls.

        Entering raises what `Chats.load` raises.
        """
        return Joined(self, chat_id, outlet)

    def enter(self, chat_id: ChatId, outlet: Outlet) -> _Entry:
        """One more follower; `leave` must follow."""
        entry = self._followed.get(chat_id)
        if entry is None:
            entry = self._followed[chat_id] = _Entry()
        entry.followers += 1
        self._outlets.add(outlet)
        return entry

    def leave(self, chat_id: ChatId, outlet: Outlet, entry: _Entry) -> None:
        """One follower less; the last one closes the chat."""
        self._outlets.discard(outlet)
        entry.followers -= 1
        if entry.followers == 0:
            if self._followed.get(chat_id) is entry:
                del self._followed[chat_id]
            if entry.chat is not None:
                entry.chat.close()

    async def chat_of(self, chat_id: ChatId, entry: _Entry) -> FollowedChat:
        """The chat, read when this is its first follower."""
        async with entry.lock:
            if entry.chat is None:
                entry.chat = await self._open(chat_id, entry)
        if self._followed.get(chat_id) is not entry:
            # a reset came while it was read: the tail no longer feeds it
            entry.chat.end(entry.chat.ending or self.ending or entry.ending)
        elif self.ending is not None:
            entry.chat.end(self.ending)
        if entry.chat.behind:
            self._read_behind(entry.chat)
        return entry.chat

    @property
    def followers(self) -> int:
        """Open streams of this process."""
        return sum(entry.followers for entry in self._followed.values())

    @property
    def ring_bytes(self) -> int:
        """Bytes of frames that all rings hold together."""
        return self._budget.used

    def followed(self) -> Collection[UUID]:
        """The chats whose data the tail shall read."""
        return self._followed.keys()

    def on_events(self, events: Sequence[RecordedEvent]) -> None:
        """Show a page of the log to the chats it is about."""
        by_chat: dict[UUID, list[RecordedEvent]] = {}
        for event in events:
            if event.stream.stream_id in self._followed:
                by_chat.setdefault(event.stream.stream_id, []).append(event)
        for chat_id, own in by_chat.items():
            entry = self._followed[chat_id]
            if own[-1].type == STREAM_PURGED:
                self._purge(chat_id)
            elif entry.chat is None:
                entry.moved = True
            else:
                self._apply(entry.chat, own)
        self._trim()

    async def read_parts(self, connection: Connection) -> Callable[[], None]:
        """Read the open episodes' new parts; the answer delivers them."""
        places = {
            entry.chat.chat_id: place
            for entry in self._followed.values()
            if entry.chat is not None
            and (place := entry.chat.wants_parts_after()) is not None
        }
        parts = await read_newer(connection, places, limit=PARTS_A_READ)
        return lambda: self._deliver(parts)

    def on_stale(self, stale: bool) -> None:
        """The database went away, or is back."""
        self.stale = stale

    def end(self, reason: str) -> None:
        """Send everybody away, now and later: the process stops."""
        self.ending = reason
        self.reset(reason)

    def reset(self, reason: str = "reset") -> None:
        """Send all present followers away: the log has another history."""
        entries, self._followed = self._followed, {}
        for entry in entries.values():
            if entry.chat is not None:
                entry.chat.end(reason)

    def _purge(self, chat_id: UUID) -> None:
        """Send a chat's followers away and keep nothing of what it said."""
        entry = self._followed.pop(chat_id, None)
        if entry is None:
            return
        entry.ending = PURGED
        if entry.chat is not None:
            entry.chat.close()
            entry.chat.end(PURGED)

    async def _open(self, chat_id: ChatId, entry: _Entry) -> FollowedChat:
        async with self.catchup.turn:
            entry.moved = False
            loaded = await self._chats.load(chat_id)
        chat = FollowedChat(
            chat_id,
            view_at(loaded.state),
            loaded.digest,
            max_frames=self._ring_frames,
            budget=self._budget,
        )
        chat.behind = entry.moved
        if chat.view.version and not chat.view.chat.exists:
            chat.end(PURGED)
        if chat.view.preview is not None:
            self._ring_live(None)
        return chat

    def _apply(self, chat: FollowedChat, events: Sequence[RecordedEvent]) -> None:
        if events[-1].type == STREAM_PURGED:
            # read while catching up, before the tail has met it
            self._purge(chat.chat_id)
            return
        preview = chat.view.preview
        try:
            chat.apply(events)
        except FutureEvent:
            logger.warning(
                "an event of a newer release ends the chat's streams",
                extra={"chat_id": str(chat.chat_id)},
            )
            chat.end("upgrade")
            return
        if chat.view.preview is not None and chat.view.preview != preview:
            # its first parts may have rung before the event that opens it was read
            self._ring_live(None)
        if chat.behind:
            self._read_behind(chat)

    def _read_behind(self, chat: FollowedChat) -> None:
        if not chat.reading:
            chat.reading = True
            self.spawn(self._catch_up(chat))

    async def _catch_up(self, chat: FollowedChat) -> None:
        """Read the log for a chat whose events came with a gap or without data."""
        try:
            while chat.behind and chat.ending is None:
                chat.behind = False
                try:
                    while chat.ending is None and (
                        page := await self.catchup.read(chat.chat_id, chat.view.version)
                    ):
                        self._apply(chat, page)
                except AWAY:
                    chat.behind = True
                    await asyncio.sleep(RETRY_READ_S)
        finally:
            chat.reading = False

    def _deliver(self, parts: Sequence[LivePart]) -> None:
        more = False
        for chat_id, group in groupby(parts, key=lambda part: part.chat_id):
            entry = self._followed.get(chat_id)
            if entry is None or entry.chat is None:
                continue
            own = list(group)
            more = entry.chat.deliver(own) or len(own) == PARTS_A_READ or more
        if more:
            self._ring_live(None)
        self._trim()

    def _trim(self) -> None:
        """Keep all rings together within their budget; the largest gives first."""
        while self._budget.used > self._budget.limit:
            rings = [e.chat.ring for e in self._followed.values() if e.chat is not None]
            largest = max(rings, key=lambda ring: ring.bytes, default=None)
            if largest is None or largest.bytes == 0:
                return
            for _ in range((largest.end - largest.start + 1) // 2):
                largest.drop_oldest()

    def _pulse(self) -> None:
        for entry in self._followed.values():
            if entry.chat is not None:
                entry.chat.wake()


class _Entry:
    """A place for a chat that is followed, also while its state is being read."""

    def __init__(self) -> None:
        self.followers = 0
        self.chat: FollowedChat | None = None
        self.moved = False
        self.ending = "reset"
        """Why those leave who still read it when it is no longer fed."""
        self.lock = asyncio.Lock()


class Joined:
    """A follower's place in the hub. No generator: its frame would cost memory."""

    __slots__ = ("_chat_id", "_entry", "_hub", "_outlet")

    def __init__(self, hub: Hub, chat_id: ChatId, outlet: Outlet) -> None:
        self._hub = hub
        self._chat_id = chat_id
        self._outlet = outlet

    async def __aenter__(self) -> FollowedChat:
        entry = self._entry = self._hub.enter(self._chat_id, self._outlet)
        try:
            return await self._hub.chat_of(self._chat_id, entry)
        except BaseException:
            self._hub.leave(self._chat_id, self._outlet, entry)
            raise

    async def __aexit__(self, *_: object) -> None:
        self._hub.leave(self._chat_id, self._outlet, self._entry)
