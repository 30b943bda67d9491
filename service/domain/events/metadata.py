"""Events about a chat, not in it: none of them disturbs a turn that runs."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from service.domain.events.base import (
    Event,
    ModelRef,
    PlanMode,
    Purpose,
    TitleSource,
    Usage,
)


class TitleChanged(Event):
    """The chat has another title."""

    type: Literal["title_changed"] = "title_changed"
    previous: str
    title: str
    source: TitleSource
    actor: str


class LabelsChanged(Event):
    """The chat has these labels, and no others."""

    type: Literal["labels_changed"] = "labels_changed"
    labels: dict[str, str]
    actor: str


class ChatPinned(Event):
    """The chat stands among its owner's pins, in the byte order of the sort keys."""

    type: Literal["chat_pinned"] = "chat_pinned"
    sort_key: str
    actor: str


class ChatUnpinned(Event):
    """The chat is no pin any more."""

    type: Literal["chat_unpinned"] = "chat_unpinned"
    actor: str


class PlanModeChanged(Event):
    """Turns that begin after this plan first, or do not."""

    type: Literal["plan_mode_changed"] = "plan_mode_changed"
    plan_mode: PlanMode
    actor: str


class WorkspaceBound(Event):
    """The chat works in this workspace; None: in none."""

    type: Literal["workspace_bound"] = "workspace_bound"
    workspace_id: UUID | None = None
    actor: str


class ModelChanged(Event):
    """The chat's model config; None: the deployment's default."""

    type: Literal["model_changed"] = "model_changed"
    model_config_id: UUID | None = None
    actor: str


class McpServersChanged(Event):
    """The MCP servers whose tools the chat offers, and no others."""

    type: Literal["mcp_servers_changed"] = "mcp_servers_changed"
    mcp_server_ids: tuple[UUID, ...]
    actor: str


class ChatArchived(Event):
    """The chat and its family were put away; it is no pin any more."""

    type: Literal["chat_archived"] = "chat_archived"
    actor: str


class ChatUnarchived(Event):
    """The chat and its family came back."""

    type: Literal["chat_unarchived"] = "chat_unarchived"
    actor: str


class ReadCursorMoved(Event):
    """The owner has seen the messages up to `message_id`.

    `next_unread` is the first answer after it, if there is one already.
    """

    type: Literal["read_cursor_moved"] = "read_cursor_moved"
    message_id: int
    next_unread: int | None = None
    actor: str


class UsageRecorded(Event):
    """A model was asked about the chat, not in it: for a title, say.

    `cost_micros` is in millionths of a dollar; None: nobody knows.
    """

    type: Literal["usage_recorded"] = "usage_recorded"
    purpose: Purpose
    asked: ModelRef
    usage: Usage | None = None
    cost_micros: int | None = None
    runtime_ms: int | None = None
    actor: str


class ChildSpawned(Event):
    """A chat of this root's family was created, in the same request."""

    type: Literal["child_spawned"] = "child_spawned"
    child_id: UUID
    actor: str


MetadataEvent = (
    TitleChanged
    | LabelsChanged
    | ChatPinned
    | ChatUnpinned
    | PlanModeChanged
    | WorkspaceBound
    | ModelChanged
    | McpServersChanged
    | ChatArchived
    | ChatUnarchived
    | ReadCursorMoved
    | ChildSpawned
    | UsageRecorded
)
