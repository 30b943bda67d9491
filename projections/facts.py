"""What an event says about a chat as a whole, by column."""

from __future__ import annotations

from typing import Any

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
    MessageAppended,
    ModelChanged,
    PlanModeChanged,
    StateReconciled,
    TitleChanged,
    TurnFailed,
    WorkspaceBound,
)

FACTS = (
    "organization_id", "owner_id", "title", "archived", "labels", "parent_chat_id",
    "root_chat_id", "created_at", "plan_mode", "workspace_id", "model_config_id",
    "mcp_server_ids", "pin_key", "origin",
)  # fmt: skip
"""Columns that an event may set to another value, or to none."""


def facts_of_new(event: ChatCreated) -> dict[str, Any]:
    """Every fact of a chat that begins."""
    return dict.fromkeys(FACTS) | {
        "organization_id": event.organization_id,
        "owner_id": event.owner_id,
        "title": event.title,
        "archived": False,
        "labels": event.labels,
        "parent_chat_id": event.parent_chat_id,
        "root_chat_id": event.root_chat_id,
        "created_at": event.at,
        "plan_mode": event.plan_mode,
        "mcp_server_ids": [],
    }


def changed_facts(event: ChatEvent) -> dict[str, Any]:
    """The facts that the event changes."""
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
        case MessageAppended():
            return _wanted(event)
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


def _wanted(event: MessageAppended) -> dict[str, Any]:
    """The model that a user's message asks for is the chat's from there on."""
    model = event.settings.model_config_id if event.settings is not None else None
    if model is None or event.role != "user" or event.visibility == "model":
        return {}
    return {"model_config_id": model}


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


def error_of(event: ChatEvent) -> dict[str, Any] | None:
    """Why the chat is in error after this event, if it puts it there."""
    if isinstance(event, TurnFailed | StateReconciled):
        return event.error.model_dump(mode="json", exclude_none=True)
    return None
