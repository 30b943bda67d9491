"""The fold of what is about a chat: names, pins, settings, its family, its reader."""

from __future__ import annotations

from typing import assert_never

from service.domain.chat.copies import replace
from service.domain.chat.state import ChatState
from service.domain.events.metadata import (
    ChatArchived,
    ChatPinned,
    ChatUnarchived,
    ChatUnpinned,
    ChildSpawned,
    LabelsChanged,
    McpServersChanged,
    MetadataEvent,
    ModelChanged,
    PlanModeChanged,
    ReadCursorMoved,
    TitleChanged,
    UsageRecorded,
    WorkspaceBound,
)


def apply(state: ChatState, event: MetadataEvent) -> ChatState:
    """The state after `event`."""
    match event:
        case TitleChanged():
            return replace(state, title=event.title, title_source=event.source)
        case LabelsChanged():
            return replace(state, labels=event.labels)
        case ChatPinned():
            return replace(state, pin_key=event.sort_key)
        case ChatUnpinned():
            return replace(state, pin_key=None)
        case PlanModeChanged():
            return replace(state, plan_mode=event.plan_mode)
        case WorkspaceBound():
            return replace(state, workspace_id=event.workspace_id)
        case ModelChanged():
            model = event.model_config_id
            return replace(state, model_config_id=model, context_limit=None)
        case McpServersChanged():
            return replace(state, mcp_server_ids=event.mcp_server_ids)
        case ChatArchived():
            return replace(state, archived=True, pin_key=None)
        case ChatUnarchived():
            return replace(state, archived=False)
        case ReadCursorMoved():
            read_up_to = max(state.read_up_to, event.message_id)
            return replace(state, read_up_to=read_up_to, first_unread=event.next_unread)
        case ChildSpawned():
            return replace(state, children=(*state.children, event.child_id))
        case UsageRecorded():
            return state
        case _:
            assert_never(event)
