"""Events of a turn: who works on it, what is tried, what is waited for, how it ends."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import JsonValue

from service.domain.events.base import (
    AttemptKind,
    ChatError,
    CompactionSource,
    Event,
    FinishReason,
    ModelRef,
    PendingCall,
    Usage,
)
from service.domain.times import Instant


class RunAcquired(Event):
    """A worker holds the chat from here on; `term` is higher than any before."""

    type: Literal["run_acquired"] = "run_acquired"
    worker: str
    term: int


class RunAbandoned(Event):
    """The worker gave the chat back, unfinished; any worker may take it at once."""

    type: Literal["run_abandoned"] = "run_abandoned"
    worker: str
    term: int


class GenerationAttemptStarted(Event):
    """A worker is about to call the model or run tools; opens the live episode.

    `epoch` is the version of the newest event that changed history; `attempt` counts
    from 1 within it. An open episode before this one is abandoned. `asked` is the
    model, where one is.
    """

    schema_version: ClassVar[int] = 2
    type: Literal["generation_attempt_started"] = "generation_attempt_started"
    epoch: int
    attempt: int
    kind: AttemptKind
    asked: ModelRef | None = None


class RetryScheduled(Event):
    """An attempt failed in a way that may pass; another one begins at `retrying_at`.

    Closes the episode. `delay_ms` is the wait as it was decided.
    """

    schema_version: ClassVar[int] = 2
    type: Literal["retry_scheduled"] = "retry_scheduled"
    epoch: int
    attempt: int
    delay_ms: int
    retrying_at: Instant
    error: ChatError


class StepCommitted(Event):
    """Closes the append that committed an attempt's messages, and its episode.

    `runtime_ms` is the time of the model call alone. `cost_micros` is in millionths of
    a dollar, at the prices of that moment; None: nobody knows. `response` is what the
    vendor said at the end, as it came, without what the messages hold.
    """

    schema_version: ClassVar[int] = 2
    type: Literal["step_committed"] = "step_committed"
    epoch: int
    attempt: int
    kind: AttemptKind
    asked: ModelRef | None = None
    usage: Usage | None = None
    cost_micros: int | None = None
    runtime_ms: int | None = None
    finish_reason: str | None = None
    response: dict[str, JsonValue] | None = None


class ActionRequired(Event):
    """The model called tools that a client runs; the turn waits until `deadline`."""

    type: Literal["action_required"] = "action_required"
    tool_calls: tuple[PendingCall, ...]
    deadline: Instant


class ToolResultsSubmitted(Event):
    """A client answered all the calls (messages before this, same append)."""

    type: Literal["tool_results_submitted"] = "tool_results_submitted"
    tool_call_ids: tuple[str, ...]
    actor: str


class ToolCallsCancelled(Event):
    """Calls that waited for a client got an error as their result (messages before
    this, same append); the turn goes on. `actor` is None when their time ran out."""

    type: Literal["tool_calls_cancelled"] = "tool_calls_cancelled"
    tool_call_ids: tuple[str, ...]
    reason: str
    actor: str | None = None


class InterruptRequested(Event):
    """Somebody asked the running turn to stop; a worker finishes the interruption."""

    type: Literal["interrupt_requested"] = "interrupt_requested"
    actor: str
    reason: str | None = None


class InterruptionFinished(Event):
    """What had been said is kept (messages before this, same append); the turn is over.

    `epoch`, `attempt` and `kind` name the episode that was cut off, when there was one,
    `asked` its model and `runtime_ms` how long that had been at it; what it cost nobody
    knows.
    """

    schema_version: ClassVar[int] = 2
    type: Literal["interruption_finished"] = "interruption_finished"
    turn_id: int | None = None
    epoch: int | None = None
    attempt: int | None = None
    kind: AttemptKind | None = None
    asked: ModelRef | None = None
    runtime_ms: int | None = None


class TurnFinished(Event):
    """The turn ended well; the chat waits, or goes on with the head of its queue."""

    type: Literal["turn_finished"] = "turn_finished"
    turn_id: int | None = None
    reason: FinishReason = "complete"


class TurnFailed(Event):
    """The turn ended in an error; the queue stays until somebody sends or edits."""

    schema_version: ClassVar[int] = 2
    type: Literal["turn_failed"] = "turn_failed"
    turn_id: int | None = None
    error: ChatError


class CompactionRequested(Event):
    """Somebody asked to shorten the history; grants an epoch, and nobody holds it."""

    type: Literal["compaction_requested"] = "compaction_requested"
    actor: str


class HistoryCompacted(Event):
    """From here on the model sees the message `summary_id` in place of all before it.

    That message and two that show it to people come before this in the same append;
    `step_committed` follows. `context_tokens` is how long the prompt had been,
    `context_limit` how long it may be.
    """

    type: Literal["history_compacted"] = "history_compacted"
    summary_id: int
    source: CompactionSource
    threshold_percent: int | None = None
    context_tokens: int | None = None
    context_limit: int | None = None


class StateReconciled(Event):
    """A chat in no legal state was put into error, from where its user can go on."""

    schema_version: ClassVar[int] = 2
    type: Literal["state_reconciled"] = "state_reconciled"
    error: ChatError
    actor: str


TurnEvent = (
    RunAcquired
    | RunAbandoned
    | GenerationAttemptStarted
    | RetryScheduled
    | StepCommitted
    | ActionRequired
    | ToolResultsSubmitted
    | ToolCallsCancelled
    | InterruptRequested
    | InterruptionFinished
    | TurnFinished
    | TurnFailed
    | CompactionRequested
    | HistoryCompacted
    | StateReconciled
)
