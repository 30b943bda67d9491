"""The fold of a turn: who holds the chat, what is tried, what is waited for."""

from __future__ import annotations

from typing import assert_never

from service.domain.chat.copies import replace
from service.domain.chat.state import (
    ChatState,
    Episode,
    Holder,
    PendingAction,
    Retry,
    Status,
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


def apply(state: ChatState, event: TurnEvent, version: int) -> ChatState:
    """The state after `event`, which has this version."""
    match event:
        case RunAcquired():
            holder = Holder(event.worker, event.term)
            return replace(state, holder=holder, term=max(state.term, event.term))
        case RunAbandoned():
            return replace(state, holder=None)
        case GenerationAttemptStarted():
            return _attempt_started(state, event, version)
        case RetryScheduled():
            return _retry_scheduled(state, event)
        case StepCommitted():
            return _step_committed(state, event)
        case ActionRequired(tool_calls=calls, deadline=deadline):
            return _action_required(state, PendingAction(calls, deadline))
        case ToolResultsSubmitted() | ToolCallsCancelled():
            return replace(state, status=Status.RUNNING, action=None, compaction=None)
        case InterruptRequested():
            return _interrupted(state)
        case InterruptionFinished() | TurnFinished():
            return _turn_over(state, Status.WAITING)
        case TurnFailed():
            return _turn_failed(state, event)
        case CompactionRequested():
            return _compaction_requested(state, version)
        case HistoryCompacted(summary_id=summary_id):
            return replace(state, summaries=(*state.summaries, summary_id))
        case StateReconciled():
            failed = _turn_over(state, Status.ERROR)
            return replace(failed, last_error=event.error, archived=False)
        case _:
            assert_never(event)


def _attempt_started(
    state: ChatState, event: GenerationAttemptStarted, version: int
) -> ChatState:
    episode = Episode(
        epoch=event.epoch,
        attempt=event.attempt,
        kind=event.kind,
        version=version,
        started_at=event.at,
        asked=event.asked,
    )
    return replace(state, episode=episode, attempt=event.attempt, retry=None)


def _retry_scheduled(state: ChatState, event: RetryScheduled) -> ChatState:
    retry = Retry(event.attempt, event.delay_ms, event.retrying_at, event.error)
    return replace(state, episode=None, retry=retry)


def _step_committed(state: ChatState, event: StepCommitted) -> ChatState:
    done = event.kind == "compaction"
    return replace(state, episode=None, compaction=None if done else state.compaction)


def _action_required(state: ChatState, action: PendingAction) -> ChatState:
    # a worker that asks the client has nothing under way, whatever it had begun
    return replace(
        state,
        status=Status.REQUIRES_ACTION,
        action=action,
        episode=None,
        compaction=None,
    )


def _interrupted(state: ChatState) -> ChatState:
    if state.status is not Status.RUNNING:
        return state
    return replace(state, status=Status.INTERRUPTING, retry=None, compaction=None)


def _turn_over(state: ChatState, status: Status) -> ChatState:
    return replace(
        state,
        status=status,
        turn_id=None,
        episode=None,
        retry=None,
        action=None,
        compaction=None,
    )


def _turn_failed(state: ChatState, event: TurnFailed) -> ChatState:
    failed = replace(_turn_over(state, Status.ERROR), last_error=event.error)
    if event.error.context_limit is None:
        return failed
    return replace(failed, context_limit=event.error.context_limit)


def _compaction_requested(state: ChatState, version: int) -> ChatState:
    return replace(
        state,
        status=Status.RUNNING,
        compaction=version,
        epoch=version,
        attempt=0,
        holder=None,
    )
