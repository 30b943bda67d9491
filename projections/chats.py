"""The list of chats: one row a chat, as its newest event leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from projections.projection import Entry, Projection, Statement
from projections.status import status_after
from service.domain.chat.state import Status
from service.domain.events.chat import ChatCreated, TurnFailed
from service.domain.upcasters import CURRENT

INSERT = """
INSERT INTO read.chats__v{v} AS c
SELECT u.* FROM json_to_recordset(%s) AS u (
  id uuid, organization_id uuid, owner_id uuid, title text, status text,
  archived boolean, client_type text, labels jsonb, parent_chat_id uuid,
  root_chat_id uuid, created_at timestamptz, updated_at timestamptz,
  last_error jsonb, version int)
ON CONFLICT (id) DO UPDATE
SET status = excluded.status, updated_at = excluded.updated_at,
  last_error = excluded.last_error, version = excluded.version
WHERE c.version < excluded.version
"""

UPDATE = """
UPDATE read.chats__v{v} AS c
SET status = coalesce(u.status, c.status),
  last_error = CASE WHEN u.status IS NULL THEN c.last_error ELSE u.last_error END,
  updated_at = greatest(c.updated_at, u.updated_at), version = u.version
FROM json_to_recordset(%s) AS u (
  id uuid, status text, last_error jsonb, updated_at timestamptz, version int)
WHERE c.id = u.id AND c.version < u.version
"""


def project(entries: Sequence[Entry]) -> list[Statement]:
    """Rows of new chats, and what changed in the others; a row a chat."""
    rows: dict[object, dict[str, Any]] = {}
    for entry in entries:
        row = rows.setdefault(entry.chat_id, {"id": entry.chat_id})
        if isinstance(entry.event, ChatCreated):
            row |= _created(entry.event)
        _touch(row, entry)
    return [
        Statement(INSERT, [row for row in rows.values() if "created_at" in row]),
        Statement(UPDATE, [row for row in rows.values() if "created_at" not in row]),
    ]


def _created(event: ChatCreated) -> dict[str, Any]:
    return {
        "organization_id": event.organization_id,
        "owner_id": event.owner_id,
        "title": event.title,
        # what a chat is until its first message, in the same append, starts a turn
        "status": Status.WAITING,
        "archived": False,
        "client_type": event.client_type,
        "labels": event.labels,
        "parent_chat_id": event.parent_chat_id,
        "root_chat_id": event.root_chat_id,
        "created_at": event.at,
    }


def _touch(row: dict[str, Any], entry: Entry) -> None:
    event = entry.event
    row["version"] = entry.recorded.version
    row["updated_at"] = max(row.get("updated_at", event.at), event.at)
    status = status_after(event)
    if status is None:
        return
    row["status"] = status
    row["last_error"] = None
    if isinstance(event, TurnFailed):
        row["last_error"] = event.error.model_dump(mode="json", exclude_none=True)


CHATS = Projection(
    name="chats",
    version=1,
    # every event moves version and updated_at
    types=frozenset(CURRENT),
    tables={"chats": "id"},
    project=project,
)
