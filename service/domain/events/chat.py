"""Everything that can happen on a chat's stream: the one union of its events.

Each event's id is its version on the stream; `at` is the command's clock reading,
never used for order. What one command caused is one append; invariants hold at its
last event. `type` and schema version name a JSON shape for ever (tests/golden/events).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.domain.events.base import (
    AttemptKind,
    BusyBehavior,
    ChatError,
    ClientTool,
    ClientType,
    CompactionSource,
    FinishReason,
    ModelRef,
    Origin,
    PendingCall,
    PlanMode,
    Purpose,
    Role,
    TitleSource,
    TurnSettings,
    Usage,
    Visibility,
)
from service.domain.events.history import (
    ChatCreated,
    ChatForked,
    HistoryEvent,
    HistoryTruncated,
    MessageAppended,
    MessageQueued,
    QueueCleared,
    QueueItemDeleted,
    QueueItemMoved,
)
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
from service.domain.events.turn import (
    ActionRequired,
    CompactionRequested,
    GenerationAttemptStarted,
    HistoryCompacted,
    InterruptionFinished,
    InterruptRequested,
    RetryScheduled,
    RunAbandoned,
    RunAcquired,
    StateReconciled,
    StepCommitted,
    ToolCallsCancelled,
    ToolResultsSubmitted,
    TurnEvent,
    TurnFailed,
    TurnFinished,
)

ChatEvent = Annotated[
    HistoryEvent | TurnEvent | MetadataEvent, Field(discriminator="type")
]

__all__ = [
    "ActionRequired",
    "AttemptKind",
    "BusyBehavior",
    "ChatArchived",
    "ChatCreated",
    "ChatError",
    "ChatEvent",
    "ChatForked",
    "ChatPinned",
    "ChatUnarchived",
    "ChatUnpinned",
    "ChildSpawned",
    "ClientTool",
    "ClientType",
    "CompactionRequested",
    "CompactionSource",
    "FinishReason",
    "GenerationAttemptStarted",
    "HistoryCompacted",
    "HistoryTruncated",
    "InterruptRequested",
    "InterruptionFinished",
    "LabelsChanged",
    "McpServersChanged",
    "MessageAppended",
    "MessageQueued",
    "ModelChanged",
    "ModelRef",
    "Origin",
    "PendingCall",
    "PlanMode",
    "PlanModeChanged",
    "Purpose",
    "QueueCleared",
    "QueueItemDeleted",
    "QueueItemMoved",
    "ReadCursorMoved",
    "RetryScheduled",
    "Role",
    "RunAbandoned",
    "RunAcquired",
    "StateReconciled",
    "StepCommitted",
    "TitleChanged",
    "TitleSource",
    "ToolCallsCancelled",
    "ToolResultsSubmitted",
    "TurnFailed",
    "TurnFinished",
    "TurnSettings",
    "Usage",
    "UsageRecorded",
    "Visibility",
    "WorkspaceBound",
]
