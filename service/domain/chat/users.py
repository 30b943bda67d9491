"""What people ask of a chat: create, fork, send, interrupt, answer calls, compact."""

from __future__ import annotations

from collections import Counter

from service.domain.chat.calls import SENT_OVER, STOPPED, answered, cancel, reply
from service.domain.chat.context import answers_since
from service.domain.chat.metadata import plan_mode_changed
from service.domain.chat.queue import MAX_QUEUED, answers, promote
from service.domain.chat.state import ChatState, Status
from service.domain.commands.chat import (
    CreateChat,
    ForkChat,
    Interrupt,
    Reconcile,
    RequestCompaction,
    SendMessage,
    SubmitToolResults,
    ToolOutput,
)
from service.domain.events.chat import (
    ChatCreated,
    ChatError,
    ChatEvent,
    ChatForked,
    CompactionRequested,
    InterruptRequested,
    MessageAppended,
    MessageQueued,
    Origin,
    PendingCall,
    StateReconciled,
    ToolResultsSubmitted,
)
from service.domain.parts import TextPart
from service.errors import FieldError, Rejection

WRONG_STATE = ChatError(
    message="the chat was in no legal state and was stopped; send a message to go on"
)


def create(command: CreateChat) -> list[ChatEvent]:
    now = command.now
    created = ChatCreated(
        at=now,
        organization_id=command.organization_id,
        owner_id=command.owner_id,
        title=command.title,
        client_type=command.client_type,
        labels=command.labels,
        parent_chat_id=command.parent_chat_id,
        root_chat_id=command.root_chat_id,
        plan_mode=command.plan_mode,
        client_tools=command.client_tools,
        default_prompt=command.default_prompt,
        deployment_prompt=command.deployment_prompt,
    )
    message = MessageAppended(
        at=now,
        role="user",
        parts=command.parts,
        created_by=command.owner_id,
        settings=command.settings,
    )
    return [created, *_system_prompt(command), message]


def fork(command: ForkChat) -> list[ChatEvent]:
    forked = ChatForked(
        at=command.now,
        origin=Origin(chat_id=command.source_chat_id, version=len(command.events)),
        owner_id=command.owner_id,
        organization_id=command.organization_id,
        actor=command.actor,
    )
    return [*command.events, forked]


def send(state: ChatState, command: SendMessage) -> list[ChatEvent] | Rejection:
    wanted = command.settings.plan_mode if command.settings else None
    plan = plan_mode_changed(state, wanted, command.now, str(command.sender_id))
    if not state.queue and state.status in (Status.WAITING, Status.ERROR):
        message = MessageAppended(
            at=command.now,
            role="user",
            parts=command.parts,
            created_by=command.sender_id,
            settings=command.settings,
        )
        return [*plan, *answers(state, command.now), message]
    if len(state.queue) >= MAX_QUEUED:
        detail = f"the queue holds its maximum of {MAX_QUEUED} messages"
        return Rejection("queue-full", f"{detail}; wait until the chat takes one")
    queued = MessageQueued(
        at=command.now,
        parts=command.parts,
        created_by=command.sender_id,
        settings=command.settings,
        busy_behavior=command.busy_behavior,
    )
    if state.status is Status.ERROR:
        return [*plan, queued, *promote(state, command.now)]
    return [*plan, *_send_busy(state, command, queued)]


def interrupt(state: ChatState, command: Interrupt) -> list[ChatEvent]:
    if state.status is Status.REQUIRES_ACTION:
        # nothing runs that could be cut off: the model goes on, its calls cancelled
        reason = command.reason or STOPPED
        return cancel(state, reason, command.now, actor=command.actor)
    return [
        InterruptRequested(at=command.now, actor=command.actor, reason=command.reason)
    ]


def submit_tool_results(
    state: ChatState, command: SubmitToolResults
) -> list[ChatEvent] | Rejection:
    calls = state.action.calls if state.action else ()
    if errors := _mismatches(calls, command.results):
        detail = "give exactly one result for each call that waits"
        return Rejection("tool-results-mismatch", detail, errors)
    by_id = {result.tool_call_id: result for result in command.results}
    replies = [reply(call, by_id[call.tool_call_id], command.now) for call in calls]
    ids = tuple(call.tool_call_id for call in calls)
    submitted = ToolResultsSubmitted(
        at=command.now, tool_call_ids=ids, actor=command.actor
    )
    return [*replies, submitted]


def request_compaction(
    state: ChatState, command: RequestCompaction
) -> list[ChatEvent] | Rejection:
    if not answers_since(state, state.summary_id):
        detail = "the chat has no answer yet that could be shortened"
        if state.summary_id:
            detail = "the chat was shortened, and has no answer since then"
        return Rejection("nothing-to-compact", detail)
    return [CompactionRequested(at=command.now, actor=command.actor)]


def reconcile(state: ChatState, command: Reconcile) -> list[ChatEvent]:
    reconciled = StateReconciled(at=command.now, error=WRONG_STATE, actor=command.actor)
    return [*answered(state, STOPPED, command.now), reconciled]


def _system_prompt(command: CreateChat) -> list[MessageAppended]:
    if not command.system_prompt:
        return []
    parts = (TextPart(text=command.system_prompt),)
    return [
        MessageAppended(at=command.now, role="system", visibility="model", parts=parts)
    ]


def _send_busy(
    state: ChatState, command: SendMessage, queued: MessageQueued
) -> list[ChatEvent]:
    if command.busy_behavior == "queue" or state.status is Status.INTERRUPTING:
        return [queued]
    actor = str(command.sender_id)
    if state.status is Status.REQUIRES_ACTION:
        return [*cancel(state, SENT_OVER, command.now, actor=actor), queued]
    requested = InterruptRequested(
        at=command.now, actor=actor, reason="new user message"
    )
    return [queued, requested]


def _mismatches(
    calls: tuple[PendingCall, ...], results: tuple[ToolOutput, ...]
) -> list[FieldError]:
    """What keeps the results from being exactly those of the calls."""
    waiting = {call.tool_call_id for call in calls}
    times = Counter(result.tool_call_id for result in results)
    errors = []
    for place, result in enumerate(results):
        field = f"results.{place}.tool_call_id"
        if result.tool_call_id not in waiting:
            errors.append(FieldError(field, "no call with this id waits"))
        elif times[result.tool_call_id] > 1:
            errors.append(FieldError(field, "is given more than once"))
    missing = [c.tool_call_id for c in calls if c.tool_call_id not in times]
    if missing:
        errors.append(FieldError("results", f"missing: {', '.join(missing)}"))
    return errors
