"""The list of chats: one row a chat, as its newest event leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from projections.facts import FACTS, changed_facts, error_of, facts_of_new
from projections.projection import Entry, Projection, Statement
from projections.status import status_after
from service.domain.chat.evolve import QUIET
from service.domain.chat.state import Status
from service.domain.events.chat import ChatCreated
from service.domain.upcasters import CURRENT

CHANGING = (*FACTS, "status", "last_error")
"""Columns that an event may set. `updated_at` only ever grows."""

INSERT = f"""
INSERT INTO read.chats__v{{v}} AS c
SELECT u.* FROM json_to_recordset(%s) AS u (
  id uuid, organization_id uuid, owner_id uuid, title text, status text,
  archived boolean, client_type text, labels jsonb, parent_chat_id uuid,
  root_chat_id uuid, created_at timestamptz, updated_at timestamptz,
  last_error jsonb, version int, plan_mode text, workspace_id uuid,
  model_config_id uuid, mcp_server_ids jsonb, pin_key text, origin jsonb)
ON CONFLICT (id) DO UPDATE
SET {", ".join(f"{name} = excluded.{name}" for name in CHANGING)},
  updated_at = excluded.updated_at, version = excluded.version
WHERE c.version < excluded.version
"""  # noqa: S608 - names are ours

UPDATE = f"""
UPDATE read.chats__v{{v}} AS c
SET ({", ".join(CHANGING)}) = (
    SELECT {", ".join(f"p.{name}" for name in CHANGING)}
    FROM jsonb_populate_record(c, u.changes) AS p),
  updated_at = greatest(c.updated_at, u.updated_at), version = u.version
FROM json_to_recordset(%s) AS u (
  id uuid, changes jsonb, updated_at timestamptz, version int)
WHERE c.id = u.id AND c.version < u.version
"""  # noqa: S608 - names are ours
"""What `changes` does not name stays; what it says is null becomes null."""


def project(entries: Sequence[Entry]) -> list[Statement]:
    """Rows of new chats, and what changed in the others; a row a chat."""
    courses: dict[object, _Course] = {}
    for entry in entries:
        courses.setdefault(entry.chat_id, _Course()).take(entry)
    return [
        Statement(INSERT, [c.row(k) for k, c in courses.items() if c.created]),
        Statement(UPDATE, [c.changed(k) for k, c in courses.items() if not c.created]),
    ]


class _Course:
    """One chat's way through a batch."""

    __slots__ = ("changes", "created", "updated_at", "version")

    def __init__(self) -> None:
        self.created = False
        self.changes: dict[str, Any] = {}
        self.updated_at: datetime | None = None
        self.version = 0

    def take(self, entry: Entry) -> None:
        event = entry.event
        self.version = entry.recorded.version
        if isinstance(event, ChatCreated):
            self.created = True
            self.changes = {
                **facts_of_new(event),
                "client_type": event.client_type,
                # until its first message, in the same append, starts a turn
                "status": Status.WAITING,
                "last_error": None,
            }
        if status := status_after(event):
            self.changes |= {"status": status, "last_error": error_of(event)}
        self.changes |= changed_facts(event)
        if type(event) not in QUIET:
            seen = self.updated_at
            self.updated_at = event.at if seen is None else max(seen, event.at)

    def row(self, chat_id: object) -> dict[str, Any]:
        """The whole row of a chat whose beginning is in the batch."""
        at = {"updated_at": self.updated_at, "version": self.version}
        return {"id": chat_id, **self.changes, **at}

    def changed(self, chat_id: object) -> dict[str, Any]:
        """What is different about a chat that there was before."""
        return {
            "id": chat_id,
            "changes": self.changes,
            "updated_at": self.updated_at,
            "version": self.version,
        }


CHATS = Projection(
    name="chats",
    version=1,
    # every event moves the version
    types=frozenset(CURRENT),
    tables={"chats": "id"},
    project=project,
)
