"""What its owner hears of each chat: created, changed status, deleted; numbered.

Numbers are gapless per owner, in the order of the log, so a watcher resumes exactly.
They count what stands in the table: a chat's row knows the position of the event that
gave it its status, and what is not beyond it is passed over when it comes again.

A status counts at the end of an append only: what a chat was in between is not told.

A number is what one version of the read model counted. What an erased chat was is in no
later version, nor whose it was, so a rebuild numbers its owner's rows anew; the digest
in a watcher's id does not fit then, and it gets a resync.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from projections.projection import Compared, Entry, Projection, Row, Statement
from projections.status import status_after
from service.domain.chat.state import Status
from service.domain.events.chat import ChatCreated, ChatEvent, TurnFailed
from service.domain.upcasters import CURRENT

KEEP = timedelta(days=7)
"""Before the newest event; who was away for longer fetches the list again."""

CREATE = """
INSERT INTO read.watch_chats__v{v}
SELECT u.chat_id, u.owner_id, u.organization_id, u.title, u.client_type, u.labels,
  u.parent_chat_id, u.root_chat_id, u.created_at, 'waiting', NULL, NULL, u.position - 1
FROM json_to_recordset(%s) AS u (
  chat_id uuid, owner_id uuid, organization_id uuid, title text, client_type text,
  labels jsonb, parent_chat_id uuid, root_chat_id uuid, created_at timestamptz,
  position bigint)
ON CONFLICT (chat_id) DO NOTHING
"""

TELL = """
INSERT INTO read.watch_feed__v{v}
SELECT c.owner_id, coalesce(o.number, 0) + row_number() OVER (
    PARTITION BY c.owner_id ORDER BY u.place),
  CASE WHEN b.shown IS NULL THEN 'created' ELSE 'status_change' END,
  c.chat_id, u.version, coalesce(u.status, c.status),
  CASE WHEN u.status IS NULL THEN c.last_error ELSE u.last_error END,
  u.at, u.recorded_at, u.digest
FROM json_to_recordset(%s) AS u (
  chat_id uuid, place bigint, version int, position bigint, status text,
  last_error jsonb, before text, settled boolean, at timestamptz,
  recorded_at timestamptz, digest text)
JOIN read.watch_chats__v{v} AS c ON c.chat_id = u.chat_id AND (
  c.position < coalesce(u.position, u.place)
  OR c.position = u.position AND c.status IS DISTINCT FROM c.shown)
LEFT JOIN read.watch_owners__v{v} AS o ON o.owner_id = c.owner_id
CROSS JOIN LATERAL (SELECT coalesce(
  u.before, CASE WHEN u.settled THEN c.status ELSE c.shown END)) AS b (shown)
WHERE coalesce(u.status, c.status) IS DISTINCT FROM b.shown
"""

COUNT = """
INSERT INTO read.watch_owners__v{v} AS o
SELECT w.owner_id, f.number, f.digest
FROM (
  SELECT DISTINCT c.owner_id FROM json_to_recordset(%s) AS u (chat_id uuid)
  JOIN read.watch_chats__v{v} AS c ON c.chat_id = u.chat_id) AS w
CROSS JOIN LATERAL (
  SELECT t.number, t.digest FROM read.watch_feed__v{v} AS t
  WHERE t.owner_id = w.owner_id ORDER BY t.number DESC LIMIT 1) AS f
ON CONFLICT (owner_id) DO UPDATE SET number = excluded.number, digest = excluded.digest
WHERE o.number < excluded.number
"""

TAKE = """
UPDATE read.watch_chats__v{v} AS c
SET status = coalesce(u.status, c.status), position = coalesce(u.position, c.position),
  last_error = CASE WHEN u.status IS NULL THEN c.last_error ELSE u.last_error END,
  shown = CASE WHEN u.border THEN coalesce(u.status, c.status)
    ELSE coalesce(u.before, CASE WHEN u.settled THEN c.status ELSE c.shown END) END
FROM json_to_recordset(%s) AS u (
  chat_id uuid, place bigint, position bigint, status text, last_error jsonb,
  border boolean, before text, settled boolean)
WHERE c.chat_id = u.chat_id AND CASE
  WHEN u.position IS NULL
    THEN c.position < u.place AND c.status IS DISTINCT FROM c.shown
  ELSE c.position < u.position OR c.position = u.position AND u.border END
"""

PRUNE = """
DELETE FROM read.watch_feed__v{v} AS f
WHERE f.recorded_at < (%s::json -> 0 ->> 'before')::timestamptz
"""

TELL_DELETED = """
INSERT INTO read.watch_feed__v{v}
SELECT c.owner_id, o.number + row_number() OVER (
    PARTITION BY c.owner_id ORDER BY e.position),
  'deleted', c.chat_id, e.version, c.status, NULL, e.recorded_at, e.recorded_at,
  left(encode(e.digest, 'hex'), 8)
FROM json_to_recordset(%s) AS u (id uuid)
JOIN read.watch_chats__v{v} AS c ON c.chat_id = u.id
JOIN read.watch_owners__v{v} AS o ON o.owner_id = c.owner_id
CROSS JOIN LATERAL (
  SELECT p.version, p.position, p.recorded_at, p.digest FROM es.events AS p
  WHERE p.stream_id = c.chat_id ORDER BY p.version DESC LIMIT 1) AS e
"""
"""The last event of the stream is its `stream_purged`: nothing comes after it."""

COUNT_DELETED = COUNT.replace("(chat_id uuid)", "(id uuid)").replace(
    "u.chat_id", "u.id"
)

SCRUB = """
UPDATE read.watch_feed__v{v} SET last_error = NULL
WHERE last_error IS NOT NULL AND chat_id IN (
  SELECT u.id FROM json_to_recordset(%s) AS u (id uuid))
"""

FORGET = """
DELETE FROM read.watch_chats__v{v}
WHERE chat_id IN (SELECT u.id FROM json_to_recordset(%s) AS u (id uuid))
"""

TOLD = """
SELECT f.*, lag(f.digest) OVER (PARTITION BY f.owner_id ORDER BY f.number) AS follows
FROM read.watch_feed__v{v} AS f
JOIN read.watch_chats__v{v} AS c ON c.chat_id = f.chat_id
WHERE f.recorded_at >= (
  SELECT e.recorded_at FROM es.events AS e ORDER BY e.position DESC LIMIT 1)
  - interval '7 days'
"""
"""Rows of chats that are there, and what each follows; what may be pruned may be gone.

A version that saw events which are erased now was pruned by them, too.
"""

WATCHED = """
SELECT o.* FROM read.watch_owners__v{v} AS o
WHERE EXISTS (
  SELECT FROM read.watch_chats__v{v} AS c
  WHERE c.owner_id = o.owner_id AND c.shown IS NOT NULL)
"""


def project(entries: Sequence[Entry]) -> list[Statement]:
    """New chats, what is told of all, the new heads of the owners, what is too old."""
    courses: dict[UUID, _Course] = {}
    for entry in entries:
        courses.setdefault(entry.chat_id, _Course()).take(entry)
    created = [c.created for c in courses.values() if c.created is not None]
    told = [row for course in courses.values() for row in course.told]
    taken = [c.taken() for c in courses.values() if c.told or c.status is not None]
    oldest = [{"before": max(e.recorded.recorded_at for e in entries) - KEEP}]
    return [
        Statement(CREATE, created),
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
    status: Status | None = None
    error: dict[str, Any] | None = None
    position: int | None = None
    """Where the event is that gave it its status."""
    before: Status | None = None
    """The status at the last border."""
    settled: bool = False
    """A border came before any status of this batch: the stored one is told."""
    last: Entry | None = None
    touched: bool = True
    """The append may have changed the status, in a batch before this one, too."""

    def take(self, entry: Entry) -> None:
        recorded, event = entry.recorded, entry.event
        if self.last is not None and self.last.recorded.at_border:
            self.touched = False
        self.last = entry
        if isinstance(event, ChatCreated):
            self.created = _created(entry, event)
        status = status_after(event)
        if status is not None:
            self.status, self.error, self.touched = status, _error(event), True
            self.position = recorded.position
        if not recorded.at_border or not self.touched:
            return
        if self.status is None or self.status != self.before:
            self.told.append(self._row(entry))
        self.before = self.status
        self.settled = self.settled or self.status is None

    def taken(self) -> Row:
        """What the chat's row is after the batch."""
        assert self.last is not None  # noqa: S101  a course begins with an entry
        return self._state() | {
            "chat_id": self.last.chat_id,
            "place": self.last.recorded.position,
            "border": self.last.recorded.at_border,
        }

    def _row(self, entry: Entry) -> Row:
        recorded = entry.recorded
        return self._state() | {
            "chat_id": entry.chat_id,
            "place": recorded.position,
            "version": recorded.version,
            "at": entry.event.at,
            "recorded_at": recorded.recorded_at,
            "digest": recorded.digest[:4].hex(),
        }

    def _state(self) -> dict[str, Any]:
        return {
            "position": self.position,
            "status": self.status,
            "last_error": self.error,
            "before": self.before,
            "settled": self.settled,
        }


def _created(entry: Entry, event: ChatCreated) -> Row:
    return {
        "chat_id": entry.chat_id,
        "owner_id": event.owner_id,
        "organization_id": event.organization_id,
        "title": event.title,
        "client_type": event.client_type,
        "labels": event.labels,
        "parent_chat_id": event.parent_chat_id,
        "root_chat_id": event.root_chat_id,
        "created_at": event.at,
        "position": entry.recorded.position,
    }


def _error(event: ChatEvent) -> dict[str, Any] | None:
    if isinstance(event, TurnFailed):
        return event.error.model_dump(mode="json", exclude_none=True)
    return None


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
            TOLD, keys=("chat_id", "version"), without=frozenset({"number"})
        ),
        "watch_owners": Compared(
            WATCHED, keys=("owner_id",), without=frozenset({"number", "digest"})
        ),
    },
)  # fmt: skip
