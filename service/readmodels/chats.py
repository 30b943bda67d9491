"""The list of a user's chats, page by page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from service import wire
from service.db.pool import Connection
from service.domain.times import rfc3339
from service.errors import Rejection

LIST = """
SELECT id, organization_id, owner_id, title, status, archived, client_type, labels,
  parent_chat_id, root_chat_id, created_at, updated_at, last_error, version,
  projection_error
FROM read.chats
WHERE owner_id = %(owner)s AND archived = %(archived)s
  AND (updated_at, id) < (%(updated_at)s, %(id)s)
ORDER BY updated_at DESC, id DESC
LIMIT %(limit)s
"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ChatRow:
    """A row of the view read.chats."""

    id: UUID
    organization_id: UUID
    owner_id: UUID
    title: str
    status: str
    archived: bool
    client_type: str
    labels: dict[str, str]
    parent_chat_id: UUID | None
    root_chat_id: UUID | None
    created_at: datetime
    updated_at: datetime
    last_error: dict[str, Any] | None
    version: int
    projection_error: str | None
    """Which of its read models stopped at an event; None when all go on."""

    def public(self) -> dict[str, Any]:
        """The chat as clients see it: the shape of `public_chat`.

        `projection_error` is added when there is one.
        """
        chat: dict[str, Any] = {
            "id": str(self.id),
            "organization_id": str(self.organization_id),
            "owner_id": str(self.owner_id),
            "title": self.title,
            "status": self.status,
            "last_error": self.last_error,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
            "archived": self.archived,
            "labels": self.labels,
            "client_type": self.client_type,
            "version": self.version,
        }
        optional = {
            "parent_chat_id": self.parent_chat_id and str(self.parent_chat_id),
            "root_chat_id": self.root_chat_id and str(self.root_chat_id),
            "projection_error": self.projection_error,
        }
        return chat | {name: v for name, v in optional.items() if v is not None}


class ChatCursor(NamedTuple):
    """After this chat, in the order of the list; its text is opaque to clients."""

    updated_at: datetime
    id: UUID

    def __str__(self) -> str:
        micros = (self.updated_at - _EPOCH) // _MICROSECOND
        return base64.urlsafe_b64encode(wire.dumps([micros, self.id])).decode()

    @classmethod
    def parse(cls, text: str) -> ChatCursor:
        """Read a cursor back; raises Rejection `invalid-cursor`."""
        try:
            raw = base64.b64decode(text.encode("ascii"), b"-_", validate=True)
            micros, chat_id = wire.loads(raw)
            return cls(_EPOCH + micros * _MICROSECOND, UUID(chat_id))
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise Rejection(
                "invalid-cursor", "cursor is not one that a list of chats gave"
            ) from error


_START = ChatCursor(datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))
"""Before every chat."""


class ChatPage(NamedTuple):
    """Some chats, newest first, and where to go on; None at the end."""

    chats: Sequence[ChatRow]
    next_cursor: str | None


async def list_chats(
    connection: Connection,
    owner_id: UUID,
    *,
    limit: int,
    cursor: str | None = None,
    archived: bool = False,
) -> ChatPage:
    """The owner's chats, the one that changed last first.

    A chat that does not change while a client pages is seen exactly once; one that
    changes moves to the front, so it is seen once or, from the first page on, again.
    Raises Rejection for a malformed cursor.
    """
    after = _START if cursor is None else ChatCursor.parse(cursor)
    found = await connection.execute(
        LIST,
        {
            "owner": owner_id,
            "archived": archived,
            "updated_at": after.updated_at,
            "id": after.id,
            # one more tells whether there is another page
            "limit": limit + 1,
        },
    )
    rows = [ChatRow(*row) for row in await found.fetchall()]
    chats = rows[:limit]
    if len(rows) <= limit:
        return ChatPage(chats, None)
    return ChatPage(chats, str(ChatCursor(chats[-1].updated_at, chats[-1].id)))
