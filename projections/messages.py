"""The messages of chats: one row a message, parts as clients see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from projections.projection import Entry, Projection, Row, Statement
from service.domain.chat.public import public_usage
from service.domain.events.chat import (
    HistoryTruncated,
    MessageAppended,
    TurnSettings,
)
from service.domain.parts import public_part

INSERT = """
INSERT INTO read.messages__v{v}
SELECT u.* FROM json_to_recordset(%s) AS u (
  chat_id uuid, id int, role text, visibility text, parts jsonb,
  created_at timestamptz, created_by uuid, settings jsonb, queued_id int,
  epoch int, attempt int, model_config_id uuid, usage jsonb)
ON CONFLICT (chat_id, id) DO NOTHING
"""

TRUNCATE = """
DELETE FROM read.messages__v{v} AS m
USING json_to_recordset(%s) AS u (chat_id uuid, from_id int, version int)
WHERE m.chat_id = u.chat_id AND m.id >= u.from_id AND m.id < u.version
"""
"""The messages that followed an edit are newer than it."""


def project(entries: Sequence[Entry]) -> list[Statement]:
    """All that was said, then what was taken back; a message itself never changes."""
    rows = [
        _row(entry, entry.event)
        for entry in entries
        if isinstance(entry.event, MessageAppended)
    ]
    return [Statement(INSERT, rows), Statement(TRUNCATE, truncated(entries))]


def truncated(entries: Sequence[Entry]) -> list[Row]:
    """What edits took back: of each chat messages from one on, up to the edit."""
    return [
        {
            "chat_id": entry.chat_id,
            "from_id": entry.event.from_id,
            "version": entry.recorded.version,
        }
        for entry in entries
        if isinstance(entry.event, HistoryTruncated)
    ]


def _row(entry: Entry, event: MessageAppended) -> Row:
    return {
        "chat_id": entry.chat_id,
        "id": entry.recorded.version,
        "role": event.role,
        "visibility": event.visibility,
        "parts": [public_part(part) for part in event.parts],
        "created_at": event.at,
        "created_by": event.created_by,
        "settings": settings_json(event.settings),
        "queued_id": event.queued_id,
        "epoch": event.epoch,
        "attempt": event.attempt,
        "model_config_id": event.model_config_id,
        "usage": public_usage(event.usage),
    }


def settings_json(settings: TurnSettings | None) -> dict[str, Any] | None:
    """What a message asks of its turn, as JSON; None when it asks for nothing."""
    if settings is None:
        return None
    return settings.model_dump(mode="json", exclude_none=True)


MESSAGES = Projection(
    name="messages",
    version=1,
    types=frozenset({"message_appended", "history_truncated"}),
    tables={"messages": "chat_id"},
    project=project,
)
