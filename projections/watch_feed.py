"""What its owner hears of each chat, numbered; a row for each thing that happened.

Numbers are gapless per owner, in the order of the log, so a watcher resumes exactly.
They count what stands in the table: a chat's row knows the position of the last event
that was about it, and what is not beyond it is passed over when it comes again.

A status counts at the end of an append only: what a chat was in between is not told.
What an event tells by itself, such as another title, stands before that; and nothing is
told before the creation is, so nobody hears of what a fork has copied.

A number is what one version of the read model counted. What an erased chat was is in no
later version, nor whose it was, so a rebuild numbers its owner's rows anew; the digest
in a watcher's id does not fit then, and it gets a resync.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from projections.facts import changed_facts, error_of, facts_of_new
from projections.projection import Compared, Entry, Projection, Row, Statement
from projections.status import status_after
from projections.watch_statements import (
    CHANGE,
    COUNT,
    COUNT_DELETED,
    CREATE,
    FORGET,
    PRUNE,
    SCRUB,
    TAKE,
    TELL,
    TELL_DELETED,
    TOLD,
    WATCHED,
)
from service.domain.chat.evolve import MOVING
from service.domain.chat.state import Status
from service.domain.events.chat import (
    ActionRequired,
    ChatArchived,
    ChatCreated,
    ChatEvent,
    ChatForked,
    ChatUnarchived,
    MessageAppended,
    ReadCursorMoved,
    StateReconciled,
    TitleChanged,
)
from service.domain.upcasters import CURRENT

KEEP = timedelta(days=7)
"""Before the newest event; who was away for longer fetches the list again."""


def project(entries: Sequence[Entry]) -> list[Statement]:
    """New chats, what is told of all, the new heads of the owners, what is too old."""
    courses: dict[UUID, _Course] = {}
    for entry in entries:
        courses.setdefault(entry.chat_id, _Course()).take(entry)
    created = [c.created for c in courses.values() if c.created is not None]
    told = [row for course in courses.values() for row in course.told]
    taken = [c.taken() for c in courses.values() if c.told or c.position is not None]
    oldest = [{"before": max(e.recorded.recorded_at for e in entries) - KEEP}]
    return [
        Statement(CREATE, created),
        Statement(CHANGE, [row for row in taken if row["changes"]]),
        Statement(TELL, told),
        Statement(COUNT, [{"chat_id": row["chat_id"]} for row in taken]),
        Statement(TAKE, taken),
        Statement(PRUNE, oldest if entries else []),
    ]


def purge(stream_ids: Sequence[UUID]) -> list[Statement]:
    """Tell that the chats are gone, and keep nothing of what was in them."""
    rows = [{"id": stream_id} for stream_id in stream_ids]
    return [
        Statement(sql, rows) for sql in (TELL_DELETED, COUNT_DELETED, SCRUB, FORGET)
    ]


@dataclass(slots=True)
class _Course:
    """One chat's way through a batch. None: as the table has it."""

    created: Row | None = None
    told: list[Row] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)
    status: Status | None = None
    error: dict[str, Any] | None = None
    calls: list[dict[str, Any]] | None = None
    position: int | None = None
    """Where the last event is that was about the chat or its status."""
    moved_at: datetime | None = None
    """The latest reading of those of them that move the chat in its owner's list."""
    before: Status | None = None
    """The status at the last border."""
    settled: bool = False
    """A border came before any status of this batch: the stored one is told."""
    last: Entry | None = None
    touched: bool = True
    """The append may have changed the status, in a batch before this one, too."""

    def take(self, entry: Entry) -> None:
        recorded = entry.recorded
        if self.last is not None and self.last.recorded.at_border:
            self.touched = False
        self.last = entry
        self._take_status(entry)
        self._take_facts(entry)
        if not recorded.at_border or not self.touched:
            return
        if self.status is None or self.status != self.before:
            self.told.append(self._row(entry, at=entry.event.at))
        self.before = self.status
        self.settled = self.settled or self.status is None

    def taken(self) -> Row:
        """What the chat's row is after the batch."""
        assert self.last is not None  # noqa: S101  a course begins with an entry
        return self._state() | {
            "chat_id": self.last.chat_id,
            "place": self.last.recorded.position,
            "border": self.last.recorded.at_border,
            "changes": self.changes,
        }

    def _take_status(self, entry: Entry) -> None:
        event = entry.event
        status = status_after(event)
        if status is None:
            return
        self.status, self.error, self.touched = status, error_of(event), True
        self.calls = _calls(event)
        self._moves(entry)

    def _take_facts(self, entry: Entry) -> None:
        event = entry.event
        if isinstance(event, ChatCreated):
            self.created = _created(entry, event)
        changes = changed_facts(event)
        if isinstance(event, ReadCursorMoved):
            changes = {"read_up_to": event.message_id}
        if isinstance(event, ChatForked):
            changes |= {"read_up_to": event.origin.version}
        if not changes:
            return
        self.changes |= changes
        self.position = entry.recorded.position
        if isinstance(event, MOVING):
            self._moves(entry)
        if (kind := _kind(event)) is not None:
            at = event.at if isinstance(event, MOVING) else None
            self.told.append(self._row(entry, kind=kind, at=at))

    def _moves(self, entry: Entry) -> None:
        at, self.position = entry.event.at, entry.recorded.position
        self.moved_at = at if self.moved_at is None else max(self.moved_at, at)

    def _row(
        self, entry: Entry, *, at: datetime | None, kind: str | None = None
    ) -> Row:
        recorded = entry.recorded
        return self._state() | {
            "chat_id": entry.chat_id,
            "place": recorded.position,
            "kind": kind,
            "version": recorded.append_last,
            "at": at,
            "recorded_at": recorded.recorded_at,
            "digest": recorded.digest[:4].hex(),
        }

    def _state(self) -> dict[str, Any]:
        return {
            "position": self.position,
            "status": self.status,
            "last_error": self.error,
            "tool_calls": self.calls,
            "moved_at": self.moved_at,
            "before": self.before,
            "settled": self.settled,
        }


def _created(entry: Entry, event: ChatCreated) -> Row:
    return {
        **facts_of_new(event),
        "chat_id": entry.chat_id,
        "client_type": event.client_type,
        "position": entry.recorded.position,
    }


def _kind(event: ChatEvent) -> str | None:
    """What the event tells by itself, whatever its append does to the status."""
    match event:
        case TitleChanged():
            return "title_change"
        case ChatArchived():
            return "deleted"
        case ChatUnarchived():
            return "created"
        case ChatForked() | StateReconciled() | MessageAppended():
            # what a message changes about its chat comes with the status of its turn
            return None
        case _:
            return "chat_change"


def _calls(event: ChatEvent) -> list[dict[str, Any]] | None:
    if not isinstance(event, ActionRequired):
        return None
    return [c.model_dump(mode="json", exclude_none=True) for c in event.tool_calls]


WATCH_FEED = Projection(
    name="watch_feed",
    version=1,
    # the end of an append may be an event of any type
    types=frozenset(CURRENT),
    tables={
        "watch_feed": "chat_id", "watch_chats": "chat_id", "watch_owners": "owner_id",
    },
    project=project,
    per_stream=False,
    purge=purge,
    compared={
        "watch_feed": Compared(
            TOLD, keys=("chat_id", "digest", "kind"), without=frozenset({"number"})
        ),
        "watch_owners": Compared(
            WATCHED, keys=("owner_id",), without=frozenset({"number", "digest"})
        ),
    },
)  # fmt: skip
