"""Any event at all, also such as no chat ever sees."""

from __future__ import annotations

from datetime import UTC

from hypothesis import strategies as st

from service.domain.events.chat import (
    ActionRequired,
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
    TurnSettings,
    Usage,
    UsageRecorded,
    WorkspaceBound,
)
from service.domain.parts import (
    FilePart,
    FileReferencePart,
    Part,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

WORDS = st.text(
    # what the service lets in: no NUL, no lone surrogates
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"),
    max_size=8,
)
COUNTS = st.integers(0, 9)
INSTANTS = st.datetimes(timezones=st.sampled_from([UTC]))
UUIDS = st.uuids()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | WORDS,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2)
    ),
    max_leaves=4,
)
METADATA = st.none() | st.dictionaries(WORDS, JSON, max_size=2)
IDS = st.sampled_from(["c1", "c2", "c3"])
MAYBE = st.none()

PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(TextPart, text=WORDS, provider_metadata=METADATA),
    st.builds(
        ReasoningPart,
        text=WORDS,
        created_at=MAYBE | INSTANTS,
        completed_at=MAYBE | INSTANTS,
        provider_metadata=METADATA,
    ),
    st.builds(
        ToolCallPart,
        tool_call_id=IDS,
        tool_name=WORDS,
        args=JSON,
        provider_executed=st.booleans(),
        created_at=MAYBE | INSTANTS,
        provider_metadata=METADATA,
    ),
    st.builds(
        ToolResultPart,
        tool_call_id=IDS,
        tool_name=WORDS,
        result=JSON,
        is_error=st.booleans(),
        provider_executed=st.booleans(),
        created_at=MAYBE | INSTANTS,
        provider_metadata=METADATA,
    ),
    st.builds(
        FileReferencePart,
        file_name=WORDS,
        start_line=COUNTS,
        end_line=COUNTS,
        content=WORDS,
    ),
    st.builds(SourcePart, source_id=WORDS, url=WORDS, title=MAYBE | WORDS),
    st.builds(FilePart, file_id=UUIDS, media_type=WORDS, name=MAYBE | WORDS),
)
SAID = st.lists(PARTS, max_size=3).map(tuple)
SETTINGS = MAYBE | st.builds(
    TurnSettings,
    model=MAYBE | WORDS,
    model_config_id=MAYBE | UUIDS,
    plan_mode=st.sampled_from(["", "plan", None]),
)
KINDS = st.sampled_from(["model", "tools", "compaction"])
PLANS = st.sampled_from(["", "plan"])
TITLES = st.sampled_from(["fallback", "user", "model"])
TOOLS = st.builds(
    ClientTool,
    name=WORDS,
    description=WORDS,
    input_schema=st.dictionaries(WORDS, JSON, max_size=2),
)
CALLS = st.builds(PendingCall, tool_call_id=IDS, tool_name=WORDS, args=JSON)
USAGE = MAYBE | st.builds(
    Usage,
    input_tokens=MAYBE | COUNTS,
    output_tokens=COUNTS,
    context_limit=MAYBE | COUNTS,
)
ASKED = MAYBE | st.builds(
    ModelRef, provider=WORDS, model=WORDS, model_config_id=MAYBE | UUIDS
)
ERRORS = st.builds(
    ChatError, message=WORDS, detail=MAYBE | WORDS, context_limit=MAYBE | COUNTS
)

EVENTS: st.SearchStrategy[ChatEvent] = st.one_of(
    st.builds(
        ChatCreated,
        at=INSTANTS,
        organization_id=UUIDS,
        owner_id=UUIDS,
        title=WORDS,
        title_source=TITLES,
        client_type=st.sampled_from(["ui", "api"]),
        labels=st.dictionaries(WORDS, WORDS, max_size=2),
        parent_chat_id=MAYBE | UUIDS,
        root_chat_id=MAYBE | UUIDS,
        plan_mode=PLANS,
        client_tools=st.lists(TOOLS, max_size=2).map(tuple),
        default_prompt=COUNTS,
        deployment_prompt=WORDS,
    ),
    st.builds(
        MessageAppended,
        at=INSTANTS,
        role=st.sampled_from(["system", "user", "assistant", "tool"]),
        visibility=st.sampled_from(["user", "model", "both"]),
        parts=SAID,
        created_by=MAYBE | UUIDS,
        settings=SETTINGS,
        queued_id=MAYBE | COUNTS,
        epoch=MAYBE | COUNTS,
        attempt=MAYBE | COUNTS,
        model_config_id=MAYBE | UUIDS,
        usage=USAGE,
    ),
    st.builds(
        MessageQueued,
        at=INSTANTS,
        parts=SAID,
        created_by=UUIDS,
        settings=SETTINGS,
        busy_behavior=st.sampled_from(["queue", "interrupt"]),
    ),
    st.builds(RunAcquired, at=INSTANTS, worker=WORDS, term=COUNTS),
    st.builds(RunAbandoned, at=INSTANTS, worker=WORDS, term=COUNTS),
    st.builds(
        GenerationAttemptStarted,
        at=INSTANTS,
        epoch=COUNTS,
        attempt=COUNTS,
        kind=KINDS,
        asked=ASKED,
    ),
    st.builds(
        StepCommitted,
        at=INSTANTS,
        epoch=COUNTS,
        attempt=COUNTS,
        kind=KINDS,
        usage=USAGE,
        runtime_ms=MAYBE | COUNTS,
        finish_reason=MAYBE | WORDS,
        asked=ASKED,
        cost_micros=MAYBE | COUNTS,
        response=METADATA,
    ),
    st.builds(InterruptRequested, at=INSTANTS, actor=WORDS, reason=MAYBE | WORDS),
    st.builds(
        InterruptionFinished,
        at=INSTANTS,
        turn_id=MAYBE | COUNTS,
        epoch=MAYBE | COUNTS,
        attempt=MAYBE | COUNTS,
        kind=MAYBE | KINDS,
        asked=ASKED,
        runtime_ms=MAYBE | COUNTS,
    ),
    st.builds(
        TurnFinished,
        at=INSTANTS,
        turn_id=MAYBE | COUNTS,
        reason=st.sampled_from(["complete", "max_steps", "stop_tool"]),
    ),
    st.builds(TurnFailed, at=INSTANTS, turn_id=MAYBE | COUNTS, error=ERRORS),
    st.builds(QueueItemDeleted, at=INSTANTS, queued_id=COUNTS, actor=WORDS),
    st.builds(QueueItemMoved, at=INSTANTS, queued_id=COUNTS, actor=WORDS),
    st.builds(QueueCleared, at=INSTANTS, actor=WORDS),
    st.builds(HistoryTruncated, at=INSTANTS, from_id=COUNTS, actor=WORDS),
    st.builds(
        ChatForked,
        at=INSTANTS,
        origin=st.builds(Origin, chat_id=UUIDS, version=COUNTS),
        owner_id=UUIDS,
        organization_id=UUIDS,
        actor=WORDS,
    ),
    st.builds(
        RetryScheduled,
        at=INSTANTS,
        epoch=COUNTS,
        attempt=COUNTS,
        delay_ms=COUNTS,
        retrying_at=INSTANTS,
        error=ERRORS,
    ),
    st.builds(
        ActionRequired,
        at=INSTANTS,
        tool_calls=st.lists(CALLS, max_size=2).map(tuple),
        deadline=INSTANTS,
    ),
    st.builds(
        ToolResultsSubmitted,
        at=INSTANTS,
        tool_call_ids=st.lists(IDS, max_size=2).map(tuple),
        actor=WORDS,
    ),
    st.builds(
        ToolCallsCancelled,
        at=INSTANTS,
        tool_call_ids=st.lists(IDS, max_size=2).map(tuple),
        reason=WORDS,
        actor=MAYBE | WORDS,
    ),
    st.builds(CompactionRequested, at=INSTANTS, actor=WORDS),
    st.builds(
        HistoryCompacted,
        at=INSTANTS,
        summary_id=COUNTS,
        source=st.sampled_from(["automatic", "manual"]),
        threshold_percent=MAYBE | COUNTS,
        context_tokens=MAYBE | COUNTS,
        context_limit=MAYBE | COUNTS,
    ),
    st.builds(
        UsageRecorded,
        at=INSTANTS,
        purpose=st.sampled_from(["turn", "title", "compaction", "subagent"]),
        asked=st.builds(ModelRef, provider=WORDS, model=WORDS),
        usage=USAGE,
        cost_micros=MAYBE | COUNTS,
        runtime_ms=MAYBE | COUNTS,
        actor=WORDS,
    ),
    st.builds(StateReconciled, at=INSTANTS, error=ERRORS, actor=WORDS),
    st.builds(
        TitleChanged,
        at=INSTANTS,
        previous=WORDS,
        title=WORDS,
        source=TITLES,
        actor=WORDS,
    ),
    st.builds(
        LabelsChanged,
        at=INSTANTS,
        labels=st.dictionaries(WORDS, WORDS, max_size=2),
        actor=WORDS,
    ),
    st.builds(ChatPinned, at=INSTANTS, sort_key=WORDS, actor=WORDS),
    st.builds(ChatUnpinned, at=INSTANTS, actor=WORDS),
    st.builds(PlanModeChanged, at=INSTANTS, plan_mode=PLANS, actor=WORDS),
    st.builds(WorkspaceBound, at=INSTANTS, workspace_id=MAYBE | UUIDS, actor=WORDS),
    st.builds(ModelChanged, at=INSTANTS, model_config_id=MAYBE | UUIDS, actor=WORDS),
    st.builds(
        McpServersChanged,
        at=INSTANTS,
        mcp_server_ids=st.lists(UUIDS, max_size=2).map(tuple),
        actor=WORDS,
    ),
    st.builds(ChatArchived, at=INSTANTS, actor=WORDS),
    st.builds(ChatUnarchived, at=INSTANTS, actor=WORDS),
    st.builds(
        ReadCursorMoved,
        at=INSTANTS,
        message_id=COUNTS,
        next_unread=MAYBE | COUNTS,
        actor=WORDS,
    ),
    st.builds(ChildSpawned, at=INSTANTS, child_id=UUIDS, actor=WORDS),
)
