"""Parts and events with good defaults; `tests.builders` passes them on.

Defaults fit together: one owner, one worker `w1` at term 1, one instant `NOW`. Tools
are ours, but for `browser`, which a client runs; its time is up at `DEADLINE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from service.domain.chat.compaction import TOOL
from service.domain.chat.users import WRONG_STATE
from service.domain.events.chat import (
    ActionRequired,
    AttemptKind,
    BusyBehavior,
    ChatArchived,
    ChatCreated,
    ChatError,
    ChatEvent,
    ChatForked,
    ChatPinned,
    ChatUnarchived,
    ChatUnpinned,
    ChildSpawned,
    ClientTool,
    CompactionRequested,
    CompactionSource,
    GenerationAttemptStarted,
    HistoryCompacted,
    HistoryTruncated,
    InterruptionFinished,
    InterruptRequested,
    LabelsChanged,
    McpServersChanged,
    MessageAppended,
    MessageQueued,
    ModelChanged,
    ModelRef,
    Origin,
    PendingCall,
    PlanMode,
    PlanModeChanged,
    QueueCleared,
    QueueItemDeleted,
    QueueItemMoved,
    ReadCursorMoved,
    RetryScheduled,
    RunAbandoned,
    RunAcquired,
    StateReconciled,
    StepCommitted,
    TitleChanged,
    ToolCallsCancelled,
    ToolResultsSubmitted,
    TurnFailed,
    TurnFinished,
    Usage,
    UsageRecorded,
    WorkspaceBound,
)
from service.domain.parts import Part, TextPart, ToolCallPart, ToolResultPart

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CHAT = UUID(int=0xC4A7)
OWNER = UUID(int=0x0E)
ORGANIZATION = UUID(int=0x06)
CHILD = UUID(int=0xC41D)
ACTOR = str(OWNER)
WORKER = "w1"
BROWSER = ClientTool(name="browser", input_schema={"type": "object"})
DEADLINE = NOW + timedelta(minutes=5)
RETRYING_AT = NOW + timedelta(seconds=1)
ASKED = ModelRef(provider="vendor", model="m1", model_config_id=UUID(int=0xC0F))
ERROR = ChatError(message="the model is away", kind="timeout", retryable=True)

# parts


def text(words: str = "hello") -> TextPart:
    return TextPart(text=words)


def call(call_id: str = "c1", tool: str = "clock", **fields: Any) -> ToolCallPart:
    return ToolCallPart(
        tool_call_id=call_id, tool_name=tool, **{"args": {}, "created_at": NOW} | fields
    )


def result(call_id: str = "c1", tool: str = "clock", **fields: Any) -> ToolResultPart:
    return ToolResultPart(
        tool_call_id=call_id,
        tool_name=tool,
        **{"result": "noon", "created_at": NOW} | fields,
    )


def browse(call_id: str = "c1", **fields: Any) -> ToolCallPart:
    """A call of the tool that a client runs."""
    return call(call_id, BROWSER.name, **fields)


def said(parts: Sequence[Part | str]) -> tuple[Part, ...]:
    return tuple(text(part) if isinstance(part, str) else part for part in parts)


# events


def created(**fields: Any) -> ChatCreated:
    given = {"organization_id": ORGANIZATION, "owner_id": OWNER, "title": "hello"}
    return ChatCreated(at=NOW, **given | fields)


def user(*parts: Part | str, **fields: Any) -> MessageAppended:
    """A user's message enters the history."""
    given = {"role": "user", "created_by": OWNER, "parts": said(parts or ["hello"])}
    return MessageAppended(at=NOW, **given | fields)


def assistant(*parts: Part | str, **fields: Any) -> MessageAppended:
    given = {"role": "assistant", "parts": said(parts or ["hi"])}
    return MessageAppended(at=NOW, **given | fields)


def tool(*parts: Part, **fields: Any) -> MessageAppended:
    given = {"role": "tool", "parts": parts or (result(),)}
    return MessageAppended(at=NOW, **given | fields)


def cancelled(
    call_id: str = "c1", of: str = "clock", *, because: Any
) -> MessageAppended:
    """The answer that decide gives to a call which gets no other."""
    return tool(result(call_id, of, result=because, is_error=True))


def queued(*parts: Part | str, busy: BusyBehavior = "queue") -> MessageQueued:
    words = said(parts or ["next"])
    return MessageQueued(at=NOW, parts=words, created_by=OWNER, busy_behavior=busy)


def acquired(term: int = 1, worker: str = WORKER) -> RunAcquired:
    return RunAcquired(at=NOW, worker=worker, term=term)


def abandoned(term: int = 1, worker: str = WORKER) -> RunAbandoned:
    return RunAbandoned(at=NOW, worker=worker, term=term)


def attempt(
    epoch: int, number: int = 1, kind: AttemptKind = "model", **fields: Any
) -> GenerationAttemptStarted:
    return GenerationAttemptStarted(
        at=NOW, epoch=epoch, attempt=number, kind=kind, **fields
    )


def committed(
    epoch: int, number: int = 1, kind: AttemptKind = "model", **fields: Any
) -> StepCommitted:
    return StepCommitted(at=NOW, epoch=epoch, attempt=number, kind=kind, **fields)


def usage(tokens: int = 11, **fields: Any) -> Usage:
    return Usage(input_tokens=tokens, **fields)


def compacted(
    summary_id: int, source: CompactionSource = "automatic", **fields: Any
) -> HistoryCompacted:
    """From here on the model sees that message instead of all before it."""
    return HistoryCompacted(at=NOW, summary_id=summary_id, source=source, **fields)


def usage_recorded(**fields: Any) -> UsageRecorded:
    given = {"purpose": "title", "asked": ASKED, "actor": ACTOR}
    return UsageRecorded(at=NOW, **given | fields)


def interrupt_requested(
    actor: str = ACTOR, reason: str | None = None
) -> InterruptRequested:
    return InterruptRequested(at=NOW, actor=actor, reason=reason)


def interruption_finished(**fields: Any) -> InterruptionFinished:
    return InterruptionFinished(at=NOW, **fields)


def turn_finished(turn_id: int | None = 2, **fields: Any) -> TurnFinished:
    return TurnFinished(at=NOW, turn_id=turn_id, **fields)


def turn_failed(turn_id: int | None = 2, error: ChatError = ERROR) -> TurnFailed:
    return TurnFailed(at=NOW, turn_id=turn_id, error=error)


def retry_scheduled(
    epoch: int, number: int = 1, error: ChatError = ERROR
) -> RetryScheduled:
    return RetryScheduled(
        at=NOW,
        epoch=epoch,
        attempt=number,
        delay_ms=1000,
        retrying_at=RETRYING_AT,
        error=error,
    )


def pending(*calls: ToolCallPart) -> tuple[PendingCall, ...]:
    return tuple(
        PendingCall(tool_call_id=c.tool_call_id, tool_name=c.tool_name, args=c.args)
        for c in calls
    )


def action_required(*calls: ToolCallPart) -> ActionRequired:
    waiting = pending(*(calls or (browse(),)))
    return ActionRequired(at=NOW, tool_calls=waiting, deadline=DEADLINE)


def results_submitted(*ids: str) -> ToolResultsSubmitted:
    return ToolResultsSubmitted(at=NOW, tool_call_ids=ids or ("c1",), actor=ACTOR)


def calls_cancelled(
    *ids: str, reason: str, actor: str | None = ACTOR
) -> ToolCallsCancelled:
    given_up = ids or ("c1",)
    return ToolCallsCancelled(
        at=NOW, tool_call_ids=given_up, reason=reason, actor=actor
    )


def truncated(from_id: int) -> HistoryTruncated:
    return HistoryTruncated(at=NOW, from_id=from_id, actor=ACTOR)


def queue_item_deleted(queued_id: int) -> QueueItemDeleted:
    return QueueItemDeleted(at=NOW, queued_id=queued_id, actor=ACTOR)


def queue_item_moved(queued_id: int) -> QueueItemMoved:
    return QueueItemMoved(at=NOW, queued_id=queued_id, actor=ACTOR)


def queue_cleared() -> QueueCleared:
    return QueueCleared(at=NOW, actor=ACTOR)


def compaction_requested() -> CompactionRequested:
    return CompactionRequested(at=NOW, actor=ACTOR)


def reconciled(error: ChatError = WRONG_STATE) -> StateReconciled:
    return StateReconciled(at=NOW, error=error, actor=ACTOR)


def forked(version: int, **fields: Any) -> ChatForked:
    given = {"owner_id": OWNER, "organization_id": ORGANIZATION, "actor": ACTOR}
    return ChatForked(
        at=NOW, origin=Origin(chat_id=CHAT, version=version), **given | fields
    )


def title_changed(title: str = "noon", previous: str = "hello") -> TitleChanged:
    return TitleChanged(
        at=NOW, previous=previous, title=title, source="user", actor=ACTOR
    )


def labels_changed(**labels: str) -> LabelsChanged:
    return LabelsChanged(at=NOW, labels=labels, actor=ACTOR)


def pinned(sort_key: str = "m") -> ChatPinned:
    return ChatPinned(at=NOW, sort_key=sort_key, actor=ACTOR)


def unpinned() -> ChatUnpinned:
    return ChatUnpinned(at=NOW, actor=ACTOR)


def plan_mode_changed(plan_mode: PlanMode = "plan") -> PlanModeChanged:
    return PlanModeChanged(at=NOW, plan_mode=plan_mode, actor=ACTOR)


def workspace_bound(workspace_id: UUID | None) -> WorkspaceBound:
    return WorkspaceBound(at=NOW, workspace_id=workspace_id, actor=ACTOR)


def model_changed(model_config_id: UUID | None) -> ModelChanged:
    return ModelChanged(at=NOW, model_config_id=model_config_id, actor=ACTOR)


def servers_changed(*ids: UUID) -> McpServersChanged:
    return McpServersChanged(at=NOW, mcp_server_ids=ids, actor=ACTOR)


def chat_archived() -> ChatArchived:
    return ChatArchived(at=NOW, actor=ACTOR)


def chat_unarchived() -> ChatUnarchived:
    return ChatUnarchived(at=NOW, actor=ACTOR)


def read_cursor_moved(
    message_id: int, next_unread: int | None = None
) -> ReadCursorMoved:
    return ReadCursorMoved(
        at=NOW, message_id=message_id, next_unread=next_unread, actor=ACTOR
    )


def child_spawned(child_id: UUID = CHILD) -> ChildSpawned:
    return ChildSpawned(at=NOW, child_id=child_id, actor=ACTOR)


def a_chat() -> list[ChatEvent]:
    """R0, held by nobody; turn and epoch are 2, version 2."""
    return [created(), user()]


def a_turn() -> list[ChatEvent]:
    """R0, held by the worker, attempt 1 of epoch 2 is open; version 4."""
    return [*a_chat(), acquired(), attempt(2)]


def an_answer(*parts: Part | str) -> list[ChatEvent]:
    """R0, the model has answered and nothing is open; epoch 5, version 6."""
    return [*a_turn(), assistant(*parts, epoch=2, attempt=1), committed(2)]


def an_idle_chat(*parts: Part | str) -> list[ChatEvent]:
    """W after one whole turn; version 7, still held."""
    return [*an_answer(*parts), turn_finished()]


def a_request(*calls: ToolCallPart) -> list[ChatEvent]:
    """A0, the model has called the client's tool; epoch 5, version 7."""
    asked = calls or (browse(),)
    told = an_answer(*asked)
    return [created(client_tools=(BROWSER,)), *told[1:], action_required(*asked)]


def a_summary(version: int, epoch: int, number: int = 1) -> list[ChatEvent]:
    """A compaction of a chat at this version: what a worker's summary comes to.

    The summary is the message `version + 1`, and the epoch afterwards `version + 3`.
    """
    made: dict[str, Any] = {"epoch": epoch, "attempt": number}
    shown = f"{TOOL}_{epoch}_{number}"
    return [
        user("so far", visibility="model", created_by=None, **made),
        assistant(call(shown, TOOL), visibility="user", **made),
        tool(
            result(shown, TOOL, result={"summary": "so far"}), visibility="user", **made
        ),
        compacted(version + 1),
        committed(epoch, number, "compaction"),
    ]


def a_compaction() -> list[ChatEvent]:
    """R0, a model is being asked for a summary, in no turn; epoch 8, version 10."""
    asked = [*an_idle_chat(), compaction_requested(), acquired(2)]
    return [*asked, attempt(8, 1, "compaction")]


def a_compacted_chat() -> list[ChatEvent]:
    """W, one turn, then a summary (11) that was asked for; epoch 13, version 16."""
    return [*a_compaction(), *a_summary(10, 8), turn_finished(None)]
