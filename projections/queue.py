"""The queues of chats: one row a message that waits for its turn."""

from __future__ import annotations

from collections.abc import Sequence

from projections.messages import settings_json
from projections.projection import Entry, Projection, Row, Statement
from service.domain.events.chat import MessageAppended, MessageQueued
from service.domain.parts import public_part

INSERT = """
INSERT INTO read.queue__v{v}
SELECT u.* FROM json_to_recordset(%s) AS u (
  chat_id uuid, id int, parts jsonb, created_at timestamptz, created_by uuid,
  settings jsonb)
ON CONFLICT (chat_id, id) DO NOTHING
"""

DELETE = """
DELETE FROM read.queue__v{v} AS q
USING json_to_recordset(%s) AS u (chat_id uuid, id int)
WHERE q.chat_id = u.chat_id AND q.id = u.id
"""


def project(entries: Sequence[Entry]) -> list[Statement]:
    """All that came, then all that was promoted: an item always comes first."""
    queued: list[Row] = []
    promoted: list[Row] = []
    for entry in entries:
        match entry.event:
            case MessageQueued():
                queued.append(_row(entry, entry.event))
            case MessageAppended(queued_id=int(queued_id)):
                promoted.append({"chat_id": entry.chat_id, "id": queued_id})
            case _:
                pass
    return [Statement(INSERT, queued), Statement(DELETE, promoted)]


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
    types=frozenset({"message_queued", "message_appended"}),
    tables={"queue": "chat_id"},
    project=project,
)
