"""The queues of chats: one row a message that waits for its turn."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from projections.messages import settings_json
from projections.projection import Entry, Projection, Row, Statement
from service.domain.events.chat import (
    ChatForked,
    MessageAppended,
    MessageQueued,
    QueueCleared,
    QueueItemDeleted,
    QueueItemMoved,
)
from service.domain.parts import public_part

INSERT = """
INSERT INTO read.queue__v{v}
SELECT u.* FROM json_to_recordset(%s) AS u (
  chat_id uuid, id int, parts jsonb, created_at timestamptz, created_by uuid,
  settings jsonb)
ON CONFLICT (chat_id, id) DO NOTHING
"""

MOVE = """
UPDATE read.queue__v{v} AS q SET moved = u.version
FROM json_to_recordset(%s) AS u (chat_id uuid, id int, version int)
WHERE q.chat_id = u.chat_id AND q.id = u.id
  AND (q.moved IS NULL OR q.moved < u.version)
"""

DELETE = """
DELETE FROM read.queue__v{v} AS q
USING json_to_recordset(%s) AS u (chat_id uuid, id int)
WHERE q.chat_id = u.chat_id AND q.id = u.id
"""


CLEAR = """
DELETE FROM read.queue__v{v} AS q
USING json_to_recordset(%s) AS u (chat_id uuid, version int)
WHERE q.chat_id = u.chat_id AND q.id < u.version
"""


def project(entries: Sequence[Entry]) -> list[Statement]:
    """All that came, then moves, then all that went: an item always comes first."""
    queued: list[Row] = []
    gone: list[Row] = []
    moved: dict[tuple[UUID, int], Row] = {}
    cleared: dict[UUID, Row] = {}
    for entry in entries:
        chat_id, version = entry.chat_id, entry.recorded.version
        match entry.event:
            case MessageQueued() as event:
                queued.append(_row(entry, event))
            case (
                MessageAppended(queued_id=int(item)) | QueueItemDeleted(queued_id=item)
            ):
                gone.append({"chat_id": chat_id, "id": item})
            case QueueItemMoved(queued_id=item):
                row = {"chat_id": chat_id, "id": item, "version": version}
                moved[chat_id, item] = row
            case QueueCleared() | ChatForked():
                cleared[chat_id] = {"chat_id": chat_id, "version": version}
            case _:
                pass
    return [
        Statement(INSERT, queued),
        Statement(MOVE, [*moved.values()]),
        Statement(DELETE, gone),
        Statement(CLEAR, [*cleared.values()]),
    ]


def _row(entry: Entry, event: MessageQueued) -> Row:
    return {
        "chat_id": entry.chat_id,
        "id": entry.recorded.version,
        "parts": [public_part(part) for part in event.parts],
        "created_at": event.at,
        "created_by": event.created_by,
        "settings": settings_json(event.settings),
    }


QUEUE = Projection(
    name="queue",
    version=1,
    types=frozenset(
        {
            "message_queued",
            "message_appended",
            "queue_item_moved",
            "queue_item_deleted",
            "queue_cleared",
            "chat_forked",
        }
    ),
    tables={"queue": "chat_id"},
    project=project,
)
