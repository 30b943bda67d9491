"""What the service answers with, as types: plain JSON, so dictionaries at run time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict
from uuid import UUID

Status = Literal["waiting", "running", "interrupting", "requires_action", "error"]
Outcome = Literal["finished", "failed", "interrupted"]

Part = dict[str, Any]
"""One part of a message; its `type` says which: text, reasoning, tool-call, ..."""


class ChatError(TypedDict):
    """Why a turn failed."""

    message: str
    kind: str
    retryable: bool
    detail: NotRequired[str]
    provider: NotRequired[str]
    status_code: NotRequired[int]
    context_limit: NotRequired[int]
    """Tokens that would have fitted, when the vendor said so."""


class Origin(TypedDict):
    """Where a fork comes from."""

    chat_id: str
    version: int


class Chat(TypedDict):
    """A chat's header at `version`."""

    id: str
    organization_id: str
    owner_id: str
    title: str
    status: Status
    last_error: ChatError | None
    created_at: str
    updated_at: str
    archived: bool
    labels: dict[str, str]
    client_type: str
    plan_mode: Literal["", "plan"]
    pinned: bool
    last_read_message_id: int
    mcp_server_ids: list[str]
    version: int
    parent_chat_id: NotRequired[str]
    root_chat_id: NotRequired[str]
    workspace_id: NotRequired[str]
    model_config_id: NotRequired[str]
    forked_from: NotRequired[Origin]
    has_unread: NotRequired[bool]
    """This and the next two: in lists and GET, not in frames."""
    pin_order: NotRequired[int]
    """Place among the pinned chats, from 1; 0: not pinned."""
    children: NotRequired[list[Chat]]


class PendingCall(TypedDict):
    """A call that waits for a client."""

    tool_call_id: str
    tool_name: str
    args: NotRequired[Any]


class Action(TypedDict):
    """The calls that wait for a client, and until when."""

    tool_calls: list[PendingCall]
    deadline: str


class Retry(TypedDict):
    """An attempt that failed and is made again at `retrying_at`."""

    attempt: int
    delay_ms: int
    retrying_at: str
    error: ChatError


class Usage(TypedDict, total=False):
    """Tokens of a model call, as its vendor counted them."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    reasoning_tokens: int
    cache_creation_tokens: int
    cache_read_tokens: int
    context_limit: int


class Message(TypedDict):
    """A message of the history. `id` orders the messages of a chat."""

    id: int
    chat_id: str
    role: Literal["user", "assistant", "tool"]
    content: list[Part]
    created_at: str
    created_by: NotRequired[str]
    queued_id: NotRequired[int]
    model_config_id: NotRequired[str]
    usage: NotRequired[Usage]


class QueuedMessage(TypedDict):
    """A message that waits for the turn to end."""

    id: int
    chat_id: str
    content: list[Part]
    created_at: str
    model_config_id: NotRequired[str]


class MessagePage(TypedDict):
    """A page of messages, newest first, and with the newest page what waits."""

    messages: list[Message]
    queued_messages: list[QueuedMessage]
    has_more: bool


class Sent(TypedDict):
    """What a send did: what it put into the history, and what into the queue."""

    messages: list[Message]
    queued: bool
    message: NotRequired[Message]
    """What was said, when the chat was not busy."""
    queued_message: NotRequired[QueuedMessage]


class Edited(TypedDict):
    """What an edit did: the message as it is now, and those that are gone."""

    message: Message
    deleted_message_ids: list[int]


class Prompt(TypedDict):
    """Something that the user said."""

    id: int
    text: str


class ChatCost(TypedDict):
    """What a chat's family cost, in millionths of a dollar."""

    chat_id: str
    """The first chat of the family."""
    total_cost_micros: int
    request_count: int
    unpriced_request_count: int


class _Spent(TypedDict):
    total_cost_micros: int
    total_input_tokens: int
    total_output_tokens: int
    total_cache_read_tokens: int
    total_cache_creation_tokens: int
    total_runtime_ms: int


class ModelCost(_Spent):
    """What was spent on one model."""

    model_config_id: str | None
    display_name: str
    provider: str
    model: str
    message_count: int


class FamilyCost(_Spent):
    """What was spent in one family of chats."""

    root_chat_id: str
    chat_title: str | None
    """None: it is deleted."""
    message_count: int


class CostSummary(_Spent):
    """What a user spent from a start on and before an end, the dearest first."""

    start_date: str
    end_date: str
    priced_message_count: int
    unpriced_message_count: int
    by_model: list[ModelCost]
    by_chat: list[FamilyCost]


class ToolResult(TypedDict):
    """What a client's tool gave back for one call."""

    tool_call_id: str
    output: Any
    is_error: NotRequired[bool]


class ChatPage(TypedDict):
    """A page of chats, and the cursor of the next one."""

    chats: list[Chat]
    next_cursor: str | None


class RecordedEvent(TypedDict):
    """An event of a chat, as feeds and exports have it."""

    category: str
    stream_id: str
    version: int
    type: str
    schema_version: int
    data: dict[str, Any]
    metadata: dict[str, Any]
    recorded_at: str


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of a chat's stream. `id` is the place after it."""

    id: str
    name: str
    data: dict[str, Any]


ChatRef = UUID | str | Chat | Mapping[str, Any]
"""A chat by its id, or as the service gave it."""


def chat_id_of(chat: ChatRef) -> str:
    """The id of a chat, however it is given."""
    return str(chat["id"]) if isinstance(chat, Mapping) else str(chat)


def text_of(parts: list[Part]) -> str:
    """What these parts say: their texts, without reasoning and calls."""
    return "".join(part.get("text", "") for part in parts if part["type"] == "text")
