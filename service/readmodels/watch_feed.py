"""What owners hear of their chats: a page of the watch feed, and where it ends."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.db.pool import Connection
from service.domain.chat.public import OPTIONAL_IDS
from service.domain.times import rfc3339

READ = """
SELECT owner_id, number, kind, chat_id, version, status, last_error, updated_at,
  recorded_at, digest, organization_id, title, client_type, labels, parent_chat_id,
  root_chat_id, created_at, tool_calls, archived, plan_mode, workspace_id,
  model_config_id, mcp_server_ids, pin_key, origin, read_up_to
FROM read.watch_feed
WHERE owner_id = %s AND number >= %s
ORDER BY number
LIMIT %s
"""

HEADS = (
    "SELECT owner_id, number, digest FROM read.watch_owners WHERE owner_id = ANY (%s)"
)


@dataclass(frozen=True, slots=True)
class WatchRow:
    """A row of the view read.watch_feed; what a purged chat was is None."""

    owner_id: UUID
    number: int
    kind: str
    chat_id: UUID
    version: int
    status: str
    last_error: dict[str, Any] | None
    updated_at: datetime
    recorded_at: datetime
    digest: str
    organization_id: UUID | None
    title: str | None
    client_type: str | None
    labels: dict[str, str] | None
    parent_chat_id: UUID | None
    root_chat_id: UUID | None
    created_at: datetime | None
    tool_calls: list[dict[str, Any]] | None
    archived: bool | None
    plan_mode: str | None
    workspace_id: UUID | None
    model_config_id: UUID | None
    mcp_server_ids: list[str] | None
    pin_key: str | None
    origin: dict[str, Any] | None
    read_up_to: int | None

    def public(self) -> dict[str, Any] | None:
        """What the owner is told; None: nothing, the chat was deleted later."""
        chat: dict[str, Any] = {"id": str(self.chat_id), "version": self.version}
        if self.kind != "deleted":
            if self.created_at is None:
                return None
            chat |= self._chat(self.created_at)
        told: dict[str, Any] = {"kind": self.kind, "chat": chat}
        if self.kind == "action_required":
            told["tool_calls"] = self.tool_calls
        return told

    def _chat(self, created_at: datetime) -> dict[str, Any]:
        """The chat as it is now, but for what the row says of status and time."""
        chat: dict[str, Any] = {
            "organization_id": str(self.organization_id),
            "owner_id": str(self.owner_id),
            "title": self.title,
            "status": self.status,
            "last_error": self.last_error,
            "created_at": rfc3339(created_at),
            "updated_at": rfc3339(self.updated_at),
            "archived": self.archived,
            "labels": self.labels,
            "client_type": self.client_type,
            "plan_mode": self.plan_mode,
            "pinned": self.pin_key is not None,
            "last_read_message_id": self.read_up_to,
            "mcp_server_ids": self.mcp_server_ids,
        }
        for name in OPTIONAL_IDS:
            if (value := getattr(self, name)) is not None:
                chat[name] = str(value)
        if self.origin is not None:
            chat["forked_from"] = self.origin
        return chat


class WatchHead(NamedTuple):
    """The newest number of an owner, and the digest in its row."""

    number: int
    digest: str


async def read_watch_feed(
    connection: Connection, owner_id: UUID, first: int, limit: int
) -> list[WatchRow]:
    """The owner's rows from this number on, ascending."""
    found = await connection.execute(READ, (owner_id, first, limit))
    return [WatchRow(*row) for row in await found.fetchall()]


async def watch_heads(
    connection: Connection, owners: Collection[UUID]
) -> dict[UUID, WatchHead]:
    """Where the feeds of these owners end; those who have one."""
    found = await connection.execute(HEADS, (list(owners),))
    return {owner: WatchHead(*head) for owner, *head in await found.fetchall()}
