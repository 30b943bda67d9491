"""What clients see of chats and messages: one shape for GET and stream.

Plain JSON values. What is absent is left out, but for `last_error`, which is null.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from service.domain.chat.state import (
    ChatState,
    Message,
    PendingAction,
    QueuedMessage,
    Retry,
)
from service.domain.events.chat import TurnSettings, Usage
from service.domain.parts import public_part
from service.domain.times import rfc3339

OPTIONAL_IDS = ("parent_chat_id", "root_chat_id", "workspace_id", "model_config_id")
"""Left out of a chat that has none."""


def public_chat(chat_id: UUID, state: ChatState) -> dict[str, Any]:
    """The chat at `state.version`; the chat must exist."""
    error = state.last_error
    chat: dict[str, Any] = {
        "id": str(chat_id),
        "organization_id": str(state.organization_id),
        "owner_id": str(state.owner_id),
        "title": state.title,
        "status": state.status.value,
        "last_error": error and error.model_dump(mode="json", exclude_none=True),
        "created_at": state.created_at and rfc3339(state.created_at),
        "updated_at": state.updated_at and rfc3339(state.updated_at),
        "archived": state.archived,
        "labels": dict(state.labels),
        "client_type": state.client_type,
        "plan_mode": state.plan_mode,
        "pinned": state.pin_key is not None,
        "last_read_message_id": state.read_up_to,
        "mcp_server_ids": [str(server) for server in state.mcp_server_ids],
        "version": state.version,
    }
    for name in OPTIONAL_IDS:
        if (value := getattr(state, name)) is not None:
            chat[name] = str(value)
    if state.origin is not None:
        chat["forked_from"] = state.origin.model_dump(mode="json")
    return chat


def public_action(action: PendingAction) -> dict[str, Any]:
    """The calls that wait for a client, and until when."""
    return {
        "tool_calls": [
            call.model_dump(mode="json", exclude_none=True) for call in action.calls
        ],
        "deadline": rfc3339(action.deadline),
    }


def public_retry(retry: Retry) -> dict[str, Any]:
    """An attempt that failed and is made again: what a banner needs."""
    return {
        "attempt": retry.attempt,
        "delay_ms": retry.delay_ms,
        "retrying_at": rfc3339(retry.retrying_at),
        "error": retry.error.model_dump(mode="json", exclude_none=True),
    }


def visible(message: Message) -> bool:
    """Whether clients may see it at all; check before `public_message`."""
    return message.visibility != "model"


def public_message(chat_id: UUID, message: Message) -> dict[str, Any]:
    """A visible message of the history."""
    shown: dict[str, Any] = {
        "id": message.id,
        "chat_id": str(chat_id),
        "role": message.role,
        "content": [public_part(part) for part in message.parts],
        "created_at": rfc3339(message.created_at),
    }
    if message.created_by is not None:
        shown["created_by"] = str(message.created_by)
    if message.queued_id is not None:
        shown["queued_id"] = message.queued_id
    if (model := message.model_config_id or wanted_model(message.settings)) is not None:
        shown["model_config_id"] = str(model)
    if (usage := public_usage(message.usage)) is not None:
        shown["usage"] = usage
    return shown


def public_queued(chat_id: UUID, item: QueuedMessage) -> dict[str, Any]:
    """A message that waits in the queue."""
    shown: dict[str, Any] = {
        "id": item.id,
        "chat_id": str(chat_id),
        "content": [public_part(part) for part in item.parts],
        "created_at": rfc3339(item.created_at),
    }
    if (model := wanted_model(item.settings)) is not None:
        shown["model_config_id"] = str(model)
    return shown


def wanted_model(settings: TurnSettings | None) -> UUID | None:
    """The model config that a user's message asks for, if it asks for one."""
    return None if settings is None else settings.model_config_id


def public_usage(usage: Usage | None) -> dict[str, int] | None:
    """The tokens that were counted; None when none were."""
    counted = {} if usage is None else usage.model_dump(exclude_none=True)
    return counted or None
