"""The messages of a chat that wait for the turn to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service.db.pool import Connection
from service.domain.times import rfc3339

LIST = """
SELECT chat_id, id, parts, created_at, created_by, settings, moved
FROM read.queue
WHERE chat_id = %s
ORDER BY moved DESC NULLS LAST, id
"""


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A row of the view read.queue."""

    chat_id: UUID
    id: int
    parts: list[dict[str, Any]]
    created_at: datetime
    created_by: UUID
    settings: dict[str, Any] | None
    moved: int | None
    """The version at which it was put first, if it was."""

    def public(self) -> dict[str, Any]:
        """The queued message as clients see it: the shape of `public_queued`."""
        item: dict[str, Any] = {
            "id": self.id,
            "chat_id": str(self.chat_id),
            "content": self.parts,
            "created_at": rfc3339(self.created_at),
        }
        if model := (self.settings or {}).get("model_config_id"):
            item["model_config_id"] = model
        return item


async def list_queue(connection: Connection, chat_id: UUID) -> Sequence[QueueRow]:
    """The whole queue, the next to be taken first; a chat holds at most 20."""
    found = await connection.execute(LIST, (chat_id,))
    return [QueueRow(*row) for row in await found.fetchall()]
