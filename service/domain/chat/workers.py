"""What workers do with a chat that they hold, and how they come to hold it.

The fence has let the command through: worker, term and epoch are current.
"""

from __future__ import annotations

from service.domain.chat.calls import (
    CUT_OFF,
    answer,
    cancel,
    clients_calls,
    our_calls,
    outstanding,
    since_last_user,
)
from service.domain.chat.queue import promote, promoted
from service.domain.chat.refusals import stale
from service.domain.chat.state import ChatState, Episode
from service.domain.commands.chat import (
    AcquireRun,
    CancelToolCalls,
    CommitCompaction,
    CommitStep,
    DraftMessage,
    FinishError,
    FinishInterruption,
    FinishTurn,
    RequireAction,
    ScheduleRetry,
    StartAttempt,
)
from service.domain.events.chat import (
    ActionRequired,
    AttemptKind,
    ChatEvent,
    GenerationAttemptStarted,
    InterruptionFinished,
    MessageAppended,
    PendingCall,
    RetryScheduled,
    RunAcquired,
    StepCommitted,
    TurnFailed,
    TurnFinished,
    UsageRecorded,
)
from service.domain.times import Instant
from service.errors import Rejection


def acquire(state: ChatState, command: AcquireRun) -> list[ChatEvent] | Rejection:
    if command.term <= state.term:
        return stale(f"term {command.term} is not higher than {state.term}")
    return [RunAcquired(at=command.now, worker=command.worker, term=command.term)]


def start_attempt(state: ChatState, command: StartAttempt) -> list[ChatEvent]:
    return [
        GenerationAttemptStarted(
            at=command.now,
            epoch=state.epoch,
            attempt=state.attempt + 1,
            kind=command.kind,
            asked=command.asked,
        )
    ]


def schedule_retry(
    state: ChatState, command: ScheduleRetry
) -> list[ChatEvent] | Rejection:
    episode = state.episode
    if episode is None or episode.attempt != command.attempt:
        return stale(f"attempt {command.attempt} is not the open one")
    return [
        *_recorded(state, command),
        RetryScheduled(
            at=command.now,
            epoch=episode.epoch,
            attempt=episode.attempt,
            delay_ms=command.delay_ms,
            retrying_at=command.retrying_at,
            error=command.error,
        ),
    ]


def require_action(
    state: ChatState, command: RequireAction
) -> list[ChatEvent] | Rejection:
    if our_calls(state):
        return stale("calls are open that the worker runs")
    calls = clients_calls(state)
    if not calls:
        return stale("no call waits for a client")
    pending = tuple(
        PendingCall(
            tool_call_id=call.tool_call_id, tool_name=call.tool_name, args=call.args
        )
        for call in calls
    )
    return [
        ActionRequired(at=command.now, tool_calls=pending, deadline=command.deadline)
    ]


def cancel_tool_calls(
    state: ChatState, command: CancelToolCalls
) -> list[ChatEvent] | Rejection:
    if state.action is not None and command.now < state.action.deadline:
        return stale("the client still has time")
    return cancel(state, command.reason, command.now, actor=None)


def commit_step(state: ChatState, command: CommitStep) -> list[ChatEvent] | Rejection:
    episode = open_episode(state, command.attempt, command.kind)
    if isinstance(episode, Rejection):
        return episode
    config = command.asked.model_config_id if command.asked else None
    messages = [
        message.model_copy(update={"usage": command.usage, "model_config_id": config})
        if message.role == "assistant"
        else message
        for message in _drafts(command.messages, episode, command.now)
    ]
    return [*messages, committed(command, command.kind)]


def committed(
    command: CommitStep | CommitCompaction, kind: AttemptKind
) -> StepCommitted:
    """What closes the append of an attempt that came to something."""
    return StepCommitted(
        at=command.now,
        epoch=command.epoch,
        attempt=command.attempt,
        kind=kind,
        asked=command.asked,
        usage=command.usage,
        cost_micros=command.cost_micros,
        runtime_ms=command.runtime_ms,
        finish_reason=command.finish_reason,
        response=command.response,
    )


def open_episode(
    state: ChatState, attempt: int, kind: AttemptKind
) -> Episode | Rejection:
    """The attempt that a worker closes, if it is the one that is open."""
    episode = state.episode
    closed = (state.epoch, attempt, kind)
    if episode is None or (episode.epoch, episode.attempt, episode.kind) != closed:
        return stale(f"attempt {closed!r} is not the open one")
    return episode


def finish_interruption(
    state: ChatState, command: FinishInterruption
) -> list[ChatEvent] | Rejection:
    now, episode = command.now, state.episode
    if episode is None and command.partial:
        return stale("no attempt is open that a partial could come from")
    # a summary that was cut off stands for nothing
    kept = episode is not None and episode.kind != "compaction"
    partial = _drafts(command.partial, episode, now) if episode and kept else []
    cut_off = outstanding([*since_last_user(state.messages), *partial])
    finished = InterruptionFinished(
        at=now,
        turn_id=state.turn_id,
        epoch=episode.epoch if episode else None,
        attempt=episode.attempt if episode else None,
        kind=episode.kind if episode else None,
        asked=episode.asked if episode else None,
        runtime_ms=_runtime_ms(episode, now),
    )
    answers = answer(cut_off, result=CUT_OFF, now=now)
    return [*partial, *answers, finished, *promoted(state, now)]


def _runtime_ms(episode: Episode | None, now: Instant) -> int | None:
    """How long a model had been at it. Clocks of two workers differ: never below 0."""
    if episode is None or episode.asked is None:
        return None
    return max(0, round((now - episode.started_at).total_seconds() * 1000))


def finish_turn(state: ChatState, command: FinishTurn) -> list[ChatEvent]:
    finished = TurnFinished(
        at=command.now, turn_id=state.turn_id, reason=command.reason
    )
    return [*_recorded(state, command), finished, *promote(state, command.now)]


def finish_error(state: ChatState, command: FinishError) -> list[ChatEvent]:
    failed = TurnFailed(at=command.now, turn_id=state.turn_id, error=command.error)
    return [*_recorded(state, command), failed]


def _recorded(
    state: ChatState, command: ScheduleRetry | FinishTurn | FinishError
) -> list[UsageRecorded]:
    """What the attempt took, which has no message that could say so."""
    spent, episode = command.spent, state.episode
    if spent is None:
        return []
    summed_up = episode is not None and episode.kind == "compaction"
    return [
        UsageRecorded(
            at=command.now,
            purpose="compaction" if summed_up else "turn",
            asked=spent.asked,
            usage=spent.usage,
            cost_micros=spent.cost_micros,
            runtime_ms=spent.runtime_ms,
            actor=f"worker:{command.worker}",
        )
    ]


def _drafts(
    drafts: tuple[DraftMessage, ...], episode: Episode, now: Instant
) -> list[MessageAppended]:
    return [
        MessageAppended(
            at=now,
            role=draft.role,
            visibility=draft.visibility,
            parts=draft.parts,
            epoch=episode.epoch,
            attempt=episode.attempt,
        )
        for draft in drafts
    ]
