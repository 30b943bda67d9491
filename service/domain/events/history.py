"""Events of what was said: the chat begins, messages come, wait, and go."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from service.domain.events.base import (
    BusyBehavior,
    ClientTool,
    ClientType,
    Event,
    Origin,
    PlanMode,
    Role,
    TitleSource,
    TurnSettings,
    Usage,
    Visibility,
)
from service.domain.parts import Part


class ChatCreated(Event):
    """Somebody created the chat. First event; its messages follow in the same append.

    A chat that another one spawned names its parent and the root of its family. Models
    are told `default_prompt`, a text of ours by its number (0: none), and after it
    `deployment_prompt`, the operator's, both as they were on that day.
    """

    schema_version: ClassVar[int] = 3
    type: Literal["chat_created"] = "chat_created"
    organization_id: UUID
    owner_id: UUID
    title: str
    title_source: TitleSource = "fallback"
    client_type: ClientType = "api"
    labels: dict[str, str] = Field(default_factory=dict)
    parent_chat_id: UUID | None = None
    root_chat_id: UUID | None = None
    plan_mode: PlanMode = ""
    client_tools: tuple[ClientTool, ...] = ()
    default_prompt: int = 0
    deployment_prompt: str = ""


class MessageAppended(Event):
    """A message entered the history; its id is this event's version.

    `epoch` and `attempt` are set when a worker's attempt produced it: the preview of
    that attempt is replaced by this message. `queued_id` is set when it was promoted
    from the queue. A visible user message begins a turn. An answer of a model has the
    tokens that it took.
    """

    schema_version: ClassVar[int] = 2
    type: Literal["message_appended"] = "message_appended"
    role: Role
    visibility: Visibility = "both"
    parts: tuple[Part, ...]
    created_by: UUID | None = None
    settings: TurnSettings | None = None
    queued_id: int | None = None
    epoch: int | None = None
    attempt: int | None = None
    model_config_id: UUID | None = None
    usage: Usage | None = None


class MessageQueued(Event):
    """A user sent a message while the chat was busy; its queue id is this version."""

    schema_version: ClassVar[int] = 2
    type: Literal["message_queued"] = "message_queued"
    parts: tuple[Part, ...]
    created_by: UUID
    settings: TurnSettings | None = None
    busy_behavior: BusyBehavior = "queue"


class QueueItemDeleted(Event):
    """Somebody took a message out of the queue."""

    type: Literal["queue_item_deleted"] = "queue_item_deleted"
    queued_id: int
    actor: str


class QueueItemMoved(Event):
    """Somebody moved a message to the head of the queue."""

    type: Literal["queue_item_moved"] = "queue_item_moved"
    queued_id: int
    actor: str


class QueueCleared(Event):
    """The whole queue went, because an edit took back what it had followed."""

    type: Literal["queue_cleared"] = "queue_cleared"
    actor: str


class HistoryTruncated(Event):
    """The message `from_id` and everything after it left the history (an edit).

    A turn that was running is over; the message that replaces the first one that left
    follows in the same append.
    """

    type: Literal["history_truncated"] = "history_truncated"
    from_id: int
    actor: str


class ChatForked(Event):
    """Every event before this one is a copy; from here on the chat is its own.

    It waits, with an empty queue, held by nobody, and stands outside of any family.
    """

    type: Literal["chat_forked"] = "chat_forked"
    origin: Origin
    owner_id: UUID
    organization_id: UUID
    actor: str


HistoryEvent = (
    ChatCreated
    | MessageAppended
    | MessageQueued
    | QueueItemDeleted
    | QueueItemMoved
    | QueueCleared
    | HistoryTruncated
    | ChatForked
)
