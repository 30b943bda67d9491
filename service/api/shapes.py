"""The shapes of answers, for the OpenAPI document and for tests that hold us to them.

Answers are built as plain JSON by `service.domain.chat.public`; these models describe
the same, and forbid anything more.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from service.domain.chat.state import Status
from service.domain.events.chat import ChatError, ClientType, PlanMode, Role, Usage
from service.domain.parts import (
    FilePart,
    FileReferencePart,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

PublicPart = (
    TextPart
    | ReasoningPart
    | ToolCallPart
    | ToolResultPart
    | FileReferencePart
    | SourcePart
    | FilePart
)


CHAT_EXAMPLE: dict[str, Any] = {
    "id": "6422b81e-14b0-561f-a834-c3d1314ecd6c",
    "organization_id": "00000000-0000-4000-8000-000000000001",
    "owner_id": "4486e11b-f058-4c64-8c8a-65221571e559",
    "title": "count 3",
    "status": "waiting",
    "last_error": None,
    "created_at": "2026-03-01T09:30:00.811592Z",
    "updated_at": "2026-03-01T09:30:02.726971Z",
    "archived": False,
    "labels": {"team": "support"},
    "client_type": "api",
    "plan_mode": "",
    "pinned": False,
    "last_read_message_id": 0,
    "mcp_server_ids": [],
    "version": 6,
}
PROBLEM_EXAMPLE: dict[str, Any] = {
    "type": "/problems/invalid-request",
    "title": "The request has fields that are wrong",
    "status": 400,
    "detail": "content.0.text: may not be empty",
    "errors": [{"field": "content.0.text", "detail": "may not be empty"}],
    "request_id": "096d584c768d4720a094a9d90b6f0127",
}


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OriginShape(_Shape):
    """Where a fork comes from."""

    chat_id: UUID
    version: int


class ChatShape(_Shape):
    """A chat."""

    model_config = ConfigDict(json_schema_extra={"examples": [CHAT_EXAMPLE]})

    id: UUID
    organization_id: UUID
    owner_id: UUID
    title: str
    status: Status
    last_error: ChatError | None
    created_at: datetime
    updated_at: datetime
    archived: bool
    labels: dict[str, str]
    client_type: ClientType
    plan_mode: PlanMode
    pinned: bool
    last_read_message_id: int = Field(description="0: nothing was read yet.")
    mcp_server_ids: list[UUID]
    version: int = Field(description="Version of the newest event of the chat.")
    parent_chat_id: UUID | None = None
    root_chat_id: UUID | None = None
    workspace_id: UUID | None = None
    model_config_id: UUID | None = None
    forked_from: OriginShape | None = None
    has_unread: bool | None = Field(
        default=None, description="In lists and GET, not in frames."
    )
    pin_order: int | None = Field(
        default=None,
        description="In lists and GET: the place among the pins from 1; 0: no pin.",
    )
    children: list[ChatShape] | None = Field(
        default=None, description="In lists and GET: the chats that it spawned."
    )
    at_version: int | None = Field(
        default=None, description="Of the past: the version that was asked for."
    )
    projection_error: str | None = Field(
        default=None, description="In lists: which read model stopped at this chat."
    )


class MessageShape(_Shape):
    """A message of the history; its id is the version of its event."""

    id: int
    chat_id: UUID
    role: Role
    content: list[PublicPart]
    created_at: datetime
    created_by: UUID | None = None
    queued_id: int | None = Field(
        default=None, description="Its id in the queue, when it came from there."
    )
    model_config_id: UUID | None = Field(
        default=None, description="Who gave the answer, or who was asked for it."
    )
    usage: Usage | None = Field(
        default=None, description="Tokens of the call that it is the answer of."
    )


class QueuedShape(_Shape):
    """A message that waits for the turn to end."""

    id: int
    chat_id: UUID
    content: list[PublicPart]
    created_at: datetime
    model_config_id: UUID | None = Field(
        default=None, description="The model config that it asks for."
    )


class ChatPage(_Shape):
    """A page of the list of chats, newest change first."""

    chats: list[ChatShape]
    next_cursor: str | None = Field(description="Null on the last page.")


class MessagePage(_Shape):
    """A page of a chat's messages."""

    messages: list[MessageShape]
    queued_messages: list[QueuedShape] = Field(
        description="The whole queue; empty when a cursor was given."
    )
    has_more: bool
    at_version: int | None = Field(
        default=None, description="Of the past: the version that was asked for."
    )


class Prompt(_Shape):
    """What a user said, as text."""

    id: int
    text: str


class Prompts(_Shape):
    """What users said, newest first; messages without text are left out."""

    prompts: list[Prompt]


class Sent(_Shape):
    """What a send did."""

    message: MessageShape | None = Field(
        default=None, description="The new message, unless it was queued."
    )
    messages: list[MessageShape] = Field(
        description="Every visible message that entered the history."
    )
    queued_message: QueuedShape | None = Field(
        default=None, description="The new message, when it was queued."
    )
    queued: bool


class Edited(_Shape):
    """What an edit did."""

    message: MessageShape = Field(description="The new message; its id is new too.")
    deleted_message_ids: list[int] = Field(
        description="The message that was edited, and all that followed it."
    )


class EventMetadata(_Shape):
    """Who caused an event, and why."""

    actor: str | None
    causation_id: str | None
    correlation_id: str | None


class EventShape(_Shape):
    """An event as the log has it."""

    category: str
    stream_id: UUID
    version: int
    type: str
    schema_version: int
    data: dict[str, Any]
    metadata: EventMetadata
    recorded_at: datetime


class EventPage(_Shape):
    """Events in the order of the log; at least `limit` of them while there are."""

    events: list[EventShape]
    next: str = Field(description="What `after` goes on with, also when none is left.")


class Ticket(_Shape):
    """What opens one stream, once."""

    ticket: str
    expires_at: datetime


class Health(_Shape):
    """The process answers."""

    status: Literal["ok"]


class Lag(_Shape):
    """How far a read model is behind the log."""

    state: str = Field(description="running, or stopped until a person acts.")
    events: int
    seconds: float = Field(description="Age of the oldest event not yet in it.")
    parked_streams: int = Field(description="Streams that it could not go on with.")


class Ready(_Shape):
    """Whether the process can serve requests."""

    status: Literal["ready"]
    database: Literal["ok"]
    schema_: Literal["current"] = Field(alias="schema")
    lag: dict[str, Lag]


class WrongField(_Shape):
    """A field that is wrong, and why."""

    field: str = Field(description="Dotted path, such as content.0.text.")
    detail: str


class ProblemShape(_Shape):
    """An error, as RFC 9457 has it."""

    model_config = ConfigDict(json_schema_extra={"examples": [PROBLEM_EXAMPLE]})

    type: str = Field(description="/problems/ and a stable slug.")
    title: str
    status: int
    detail: str
    errors: list[WrongField] | None = None
    request_id: str | None = None
