"""The messages of a chat as clients may see them, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.db.pool import Connection
from service.domain.times import rfc3339

NEWEST_FIRST = """
SELECT chat_id, id, role, visibility, parts, created_at, created_by, settings,
  queued_id, epoch, attempt, model_config_id, usage
FROM read.messages
WHERE chat_id = %s AND id > %s::int AND id < %s::int AND visibility IN ('user', 'both')
ORDER BY id DESC
LIMIT %s
"""

OLDEST_FIRST = """
SELECT chat_id, id, role, visibility, parts, created_at, created_by, settings,
  queued_id, epoch, attempt, model_config_id, usage
FROM read.messages
WHERE chat_id = %s AND id > %s::int AND id < %s::int AND visibility IN ('user', 'both')
ORDER BY id
LIMIT %s
"""

PROMPTS = """
SELECT m.id, (
  SELECT string_agg(p.part ->> 'text', E'\n' ORDER BY p.place)
  FROM jsonb_array_elements(m.parts) WITH ORDINALITY AS p (part, place)
  WHERE p.part ->> 'type' = 'text')
FROM read.messages AS m
WHERE m.chat_id = %s AND m.role = 'user' AND m.visibility IN ('user', 'both')
  AND m.parts @> '[{"type": "text"}]'
ORDER BY m.id DESC
LIMIT %s
"""

_AFTER_ALL = 2**31 - 1
"""Message ids are versions, and versions are int4 in the database."""


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A row of the view read.messages."""

    chat_id: UUID
    id: int
    role: str
    visibility: str
    parts: list[dict[str, Any]]
    """Already as clients see them: without what only providers may see."""
    created_at: datetime
    created_by: UUID | None
    settings: dict[str, Any] | None
    queued_id: int | None
    epoch: int | None
    attempt: int | None
    model_config_id: UUID | None
    usage: dict[str, int] | None

    def public(self) -> dict[str, Any]:
        """The message as clients see it: the shape of `public_message`."""
        message: dict[str, Any] = {
            "id": self.id,
            "chat_id": str(self.chat_id),
            "role": self.role,
            "content": self.parts,
            "created_at": rfc3339(self.created_at),
        }
        if self.created_by is not None:
            message["created_by"] = str(self.created_by)
        if self.queued_id is not None:
            message["queued_id"] = self.queued_id
        wanted = (self.settings or {}).get("model_config_id")
        if (model := self.model_config_id or wanted) is not None:
            message["model_config_id"] = str(model)
        if self.usage is not None:
            message["usage"] = self.usage
        return message


class Prompt(NamedTuple):
    """What a user wrote in one message."""

    id: int
    text: str


class MessagePage(NamedTuple):
    """Some messages, and whether there are more in the same direction."""

    messages: Sequence[MessageRow]
    has_more: bool


async def list_messages(
    connection: Connection,
    chat_id: UUID,
    *,
    before_id: int | None = None,
    after_id: int | None = None,
    limit: int,
) -> MessagePage:
    """Visible messages between the two ids, both left out.

    Newest first; oldest first when only `after_id` is given.
    """
    oldest_first = after_id is not None and before_id is None
    after = 0 if after_id is None else min(after_id, _AFTER_ALL)
    before = _AFTER_ALL if before_id is None else min(before_id, _AFTER_ALL)
    found = await connection.execute(
        OLDEST_FIRST if oldest_first else NEWEST_FIRST,
        # one more tells whether there are more
        (chat_id, after, before, limit + 1),
    )
    rows = [MessageRow(*row) for row in await found.fetchall()]
    return MessagePage(rows[:limit], len(rows) > limit)


async def prompts(connection: Connection, chat_id: UUID, limit: int) -> list[Prompt]:
    """The text of the users' messages, the newest first; those without text left out.

    What was edited away is gone.
    """
    found = await connection.execute(PROMPTS, (chat_id, limit))
    return [Prompt(*row) for row in await found.fetchall()]
