"""The list of chats: one row a chat, as its newest event leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from projections.projection import Entry, Projection, Statement
from projections.status import status_after
from service.domain.chat.evolve import MOVING
from service.domain.chat.state import Status
from service.domain.events.chat import (
    ChatArchived,
    ChatCreated,
    ChatEvent,
    ChatForked,
    ChatPinned,
    ChatUnarchived,
    ChatUnpinned,
    LabelsChanged,
    McpServersChanged,
    ModelChanged,
    PlanModeChanged,
    StateReconciled,
    TitleChanged,
    TurnFailed,
    WorkspaceBound,
)
from service.domain.events.metadata import MetadataEvent
from service.domain.upcasters import CURRENT

CHANGING = (
    "organization_id", "owner_id", "title", "status", "archived", "labels",
    "parent_chat_id", "root_chat_id", "created_at", "last_error", "plan_mode",
    "workspace_id", "model_config_id", "mcp_server_ids", "pin_key", "origin",
)  # fmt: skip
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
            self.changes = _created(event)
        if status := status_after(event):
            self.changes |= {"status": status, "last_error": _error(event)}
        self.changes |= _changes(event)
        if not isinstance(event, MetadataEvent) or isinstance(event, MOVING):
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


def _created(event: ChatCreated) -> dict[str, Any]:
    return dict.fromkeys(CHANGING) | {
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
        "plan_mode": event.plan_mode,
        "mcp_server_ids": [],
    }


def _changes(event: ChatEvent) -> dict[str, Any]:
    """What the event sets, but for status and error."""
    match event:
        case ChatForked():
            return _forked(event)
        case TitleChanged():
            return {"title": event.title}
        case LabelsChanged():
            return {"labels": event.labels}
        case ChatPinned():
            return {"pin_key": event.sort_key}
        case ChatUnpinned():
            return {"pin_key": None}
        case ChatArchived():
            return {"archived": True, "pin_key": None}
        case ChatUnarchived() | StateReconciled():
            return {"archived": False}
        case _:
            return _settings(event)


def _settings(event: ChatEvent) -> dict[str, Any]:
    """What the event says about turns that begin after it."""
    match event:
        case PlanModeChanged():
            return {"plan_mode": event.plan_mode}
        case WorkspaceBound():
            return {"workspace_id": event.workspace_id}
        case ModelChanged():
            return {"model_config_id": event.model_config_id}
        case McpServersChanged():
            return {"mcp_server_ids": event.mcp_server_ids}
        case _:
            return {}


def _forked(event: ChatForked) -> dict[str, Any]:
    return {
        "organization_id": event.organization_id,
        "owner_id": event.owner_id,
        "origin": event.origin.model_dump(mode="json"),
        "parent_chat_id": None,
        "root_chat_id": None,
        "created_at": event.at,
        "archived": False,
        "pin_key": None,
    }


def _error(event: ChatEvent) -> dict[str, Any] | None:
    if isinstance(event, TurnFailed | StateReconciled):
        return event.error.model_dump(mode="json", exclude_none=True)
    return None


CHATS = Projection(
    name="chats",
    version=1,
    # every event moves the version
    types=frozenset(CURRENT),
    tables={"chats": "id"},
    project=project,
)
