"""How far owners have read their chats, and the first answer that they have not.

Rows begin with messages; a chat without any has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from projections.projection import Entry, Projection, Row, Statement
from service.domain.events.chat import (
    ChatForked,
    HistoryTruncated,
    MessageAppended,
    ReadCursorMoved,
)

UPDATE = """
UPDATE read.cursors__v{v} AS c
SET read_up_to = greatest(c.read_up_to, u.read_up_to),
  first_unread = coalesce(
    CASE WHEN u.below IS NULL OR c.first_unread < u.below THEN c.first_unread END,
    u.first_unread),
  version = u.version
FROM json_to_recordset(%s) AS u (
  chat_id uuid, read_up_to int, below int, first_unread int, version int)
WHERE c.chat_id = u.chat_id AND c.version < u.version
"""

INSERT = """
INSERT INTO read.cursors__v{v}
SELECT u.* FROM json_to_recordset(%s) AS u (
  chat_id uuid, read_up_to int, first_unread int, version int)
ON CONFLICT (chat_id) DO NOTHING
"""
"""Those that the UPDATE did not find."""


@dataclass(slots=True)
class _Course:
    """One chat's way through a batch, whatever its row says before it."""

    version: int = 0
    read_up_to: int = 0
    below: int | None = None
    """The row's first unread message stays only if it is older than this one."""
    first_unread: int | None = None
    """The first one of the batch, for a row that has none."""

    def take(self, entry: Entry) -> None:
        version = self.version = entry.recorded.version
        match entry.event:
            case MessageAppended() as event:
                answers = event.role == "assistant" and event.visibility == "both"
                if answers and self.first_unread is None:
                    self.first_unread = version
            case HistoryTruncated(from_id=from_id):
                self._truncate(from_id)
            case ReadCursorMoved(message_id=message_id, next_unread=unread):
                self.read_up_to = max(self.read_up_to, message_id)
                self.below, self.first_unread = 0, unread
            case ChatForked(origin=origin):
                self.read_up_to = max(self.read_up_to, origin.version)
                self.below, self.first_unread = 0, None
            case _:
                pass

    def _truncate(self, from_id: int) -> None:
        self.below = from_id if self.below is None else min(self.below, from_id)
        if self.first_unread is not None and self.first_unread >= from_id:
            self.first_unread = None

    def row(self, chat_id: UUID) -> Row:
        return {
            "chat_id": chat_id,
            "read_up_to": self.read_up_to,
            "below": self.below,
            "first_unread": self.first_unread,
            "version": self.version,
        }


def project(entries: Sequence[Entry]) -> list[Statement]:
    """A row a chat: what moves its cursor, and what comes after it."""
    courses: dict[UUID, _Course] = {}
    for entry in entries:
        courses.setdefault(entry.chat_id, _Course()).take(entry)
    rows = [course.row(chat_id) for chat_id, course in courses.items()]
    return [Statement(UPDATE, rows), Statement(INSERT, rows)]


CURSORS = Projection(
    name="cursors",
    version=1,
    types=frozenset(
        {"message_appended", "history_truncated", "read_cursor_moved", "chat_forked"}
    ),
    tables={"cursors": "chat_id"},
    project=project,
)
