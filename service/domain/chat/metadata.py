"""What is asked about a chat, not in it: names, pins, settings, archive, family."""

from __future__ import annotations

from service.domain.chat.refusals import archived, not_a_root
from service.domain.chat.state import ChatState
from service.domain.commands.chat import (
    ArchiveMember,
    MoveReadCursor,
    NameChat,
    SpawnChild,
    UpdateChat,
)
from service.domain.events.chat import (
    ChatArchived,
    ChatEvent,
    ChatPinned,
    ChatUnarchived,
    ChatUnpinned,
    ChildSpawned,
    LabelsChanged,
    McpServersChanged,
    ModelChanged,
    PlanMode,
    PlanModeChanged,
    ReadCursorMoved,
    TitleChanged,
    TitleSource,
    UsageRecorded,
    WorkspaceBound,
)
from service.domain.times import Instant
from service.errors import Rejection

ALSO_ARCHIVED = frozenset({"title", "labels", "archived"})
"""What can be changed of a chat that is archived."""

WHATEVER = frozenset({"now", "actor", "title_source", "expected_title"})
"""Fields of the command that are no changes."""

CLEARED_BY_NONE = frozenset({"workspace_id", "model_config_id"})
"""Fields whose None is a change; any other None is a field that is not given."""


def update(state: ChatState, command: UpdateChat) -> list[ChatEvent] | Rejection:
    return _refused(state, command) or [
        *_back(command),
        *title_changed(
            state, command.title, command.title_source, command.now, command.actor
        ),
        *_labels(state, command),
        *_pin(state, command),
        *_settings(state, command),
        *_away(command),
    ]


def name_chat(state: ChatState, command: NameChat) -> list[ChatEvent]:
    now, actor = command.now, command.actor
    recorded = UsageRecorded(
        at=now,
        purpose="title",
        asked=command.asked,
        usage=command.usage,
        cost_micros=command.cost_micros,
        runtime_ms=command.runtime_ms,
        actor=actor,
    )
    named = command.unasked and state.title_source != "fallback"
    if named or command.expected_title != state.title:
        return [recorded]
    title = title_changed(state, command.title, "model", now, actor)
    return [*title, recorded]


def archive_member(state: ChatState, command: ArchiveMember) -> list[ChatEvent]:
    if state.archived == command.archived:
        return []
    event = ChatArchived if command.archived else ChatUnarchived
    return [event(at=command.now, actor=command.actor)]


def move_read_cursor(
    state: ChatState, command: MoveReadCursor
) -> list[ChatEvent] | Rejection:
    wanted = command.message_id
    if wanted is None:
        seen = (m.id for m in reversed(state.messages) if m.visibility != "model")
        wanted = next(seen, 0)
    else:
        message = state.messages.find(wanted)
        if message is None or message.visibility == "model":
            return Rejection("message-not-found", "the chat has no such message")
    if wanted <= state.read_up_to:
        return []
    unread = (
        m.id
        for m in state.messages
        if m.id > wanted and m.role == "assistant" and m.visibility == "both"
    )
    return [
        ReadCursorMoved(
            at=command.now,
            message_id=wanted,
            next_unread=next(unread, None),
            actor=command.actor,
        )
    ]


def spawn_child(state: ChatState, command: SpawnChild) -> list[ChatEvent] | Rejection:
    if not state.is_root:
        return not_a_root("spawn chats")
    return [
        ChildSpawned(at=command.now, child_id=command.child_id, actor=command.actor)
    ]


def plan_mode_changed(
    state: ChatState, wanted: PlanMode | None, now: Instant, actor: str
) -> list[ChatEvent]:
    """The event that makes it so, unless it is so."""
    if wanted is None or wanted == state.plan_mode:
        return []
    return [PlanModeChanged(at=now, plan_mode=wanted, actor=actor)]


def title_changed(
    state: ChatState,
    wanted: str | None,
    source: TitleSource,
    now: Instant,
    actor: str,
) -> list[ChatEvent]:
    """The event that makes it so, unless it is so."""
    if wanted is None or wanted == state.title:
        return []
    return [
        TitleChanged(
            at=now, previous=state.title, title=wanted, source=source, actor=actor
        )
    ]


def _refused(state: ChatState, command: UpdateChat) -> Rejection | None:
    changes = _changes(command)
    stays_away = state.archived and command.archived is not False
    if stays_away and not changes <= ALSO_ARCHIVED:
        return archived()
    if command.archived and command.pin_key:
        return Rejection("chat-archived", "an archived chat cannot be pinned")
    if not state.is_root and command.pin_key:
        return not_a_root("be pinned")
    if command.expected_title not in (None, state.title):
        return Rejection("title-changed", "the chat has another title by now")
    return None


def _changes(command: UpdateChat) -> set[str]:
    return {
        name
        for name in command.model_fields_set - WHATEVER
        if name in CLEARED_BY_NONE or getattr(command, name) is not None
    }


def _back(command: UpdateChat) -> list[ChatEvent]:
    if command.archived is not False:
        return []
    return [ChatUnarchived(at=command.now, actor=command.actor)]


def _away(command: UpdateChat) -> list[ChatEvent]:
    if not command.archived:
        return []
    return [ChatArchived(at=command.now, actor=command.actor)]


def _labels(state: ChatState, command: UpdateChat) -> list[ChatEvent]:
    if command.labels is None or command.labels == state.labels:
        return []
    return [LabelsChanged(at=command.now, labels=command.labels, actor=command.actor)]


def _pin(state: ChatState, command: UpdateChat) -> list[ChatEvent]:
    key = command.pin_key
    if key is None or (key or None) == state.pin_key:
        return []
    if not key:
        return [ChatUnpinned(at=command.now, actor=command.actor)]
    return [ChatPinned(at=command.now, sort_key=key, actor=command.actor)]


def _settings(state: ChatState, command: UpdateChat) -> list[ChatEvent]:
    now, actor, given = command.now, command.actor, command.model_fields_set
    events = plan_mode_changed(state, command.plan_mode, now, actor)
    workspace, model = command.workspace_id, command.model_config_id
    servers = command.mcp_server_ids
    if "workspace_id" in given and workspace != state.workspace_id:
        events.append(WorkspaceBound(at=now, workspace_id=workspace, actor=actor))
    if "model_config_id" in given and model != state.model_config_id:
        events.append(ModelChanged(at=now, model_config_id=model, actor=actor))
    if servers is not None and servers != state.mcp_server_ids:
        events.append(McpServersChanged(at=now, mcp_server_ids=servers, actor=actor))
    return events
