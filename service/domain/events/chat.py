"""Everything that can happen on a chat's stream.

Each event's id is its version on the stream; `at` is the command's clock reading,
never used for order. What one command caused is one append; invariants hold at its
last event. `type` and schema version name a JSON shape for ever (tests/golden/events).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from service.domain.parts import Part
from service.domain.times import Instant

Role = Literal["system", "user", "assistant", "tool"]
Visibility = Literal["user", "model", "both"]
AttemptKind = Literal["model", "tools"]
ClientType = Literal["ui", "api"]
BusyBehavior = Literal["queue", "interrupt"]
FinishReason = Literal["complete", "max_steps", "stop_tool"]


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    schema_version: ClassVar[int] = 1
    at: Instant


class ChatError(BaseModel):
    """Why a turn failed, as clients see it. `kind` is one of the api.md 2.4 kinds."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    message: str
    kind: str = "generic"
    detail: str | None = None
    provider: str | None = None
    retryable: bool = False
    status_code: int | None = None


class Usage(BaseModel):
    """Tokens of one model call, as the provider counted them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_creation_tokens: int | None = None
    cache_read_tokens: int | None = None
    context_limit: int | None = None


class TurnSettings(BaseModel):
    """What a user message asks of its turn; also while it waits in the queue."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    model: str | None = None
    reasoning_effort: str | None = None
    plan_mode: Literal["", "plan"] | None = None


class ChatCreated(_Event):
    """A user created the chat. First event; its messages follow in the same append."""

    type: Literal["chat_created"] = "chat_created"
    organization_id: UUID
    owner_id: UUID
    title: str
    title_source: Literal["fallback", "user", "model"] = "fallback"
    client_type: ClientType = "api"
    labels: dict[str, str] = Field(default_factory=dict)
    parent_chat_id: UUID | None = None
    root_chat_id: UUID | None = None


class MessageAppended(_Event):
    """A message entered the history; its id is this event's version.

    `epoch` and `attempt` are set when a worker's attempt produced it: the preview of
    that attempt is replaced by this message. `queued_id` is set when it was promoted
    from the queue. A visible user message begins a turn.
    """

    type: Literal["message_appended"] = "message_appended"
    role: Role
    visibility: Visibility = "both"
    parts: tuple[Part, ...]
    created_by: UUID | None = None
    settings: TurnSettings | None = None
    queued_id: int | None = None
    epoch: int | None = None
    attempt: int | None = None


class MessageQueued(_Event):
    """A user sent a message while the chat was busy; its queue id is this version."""

    type: Literal["message_queued"] = "message_queued"
    parts: tuple[Part, ...]
    created_by: UUID
    settings: TurnSettings | None = None
    busy_behavior: BusyBehavior = "queue"


class RunAcquired(_Event):
    """A worker holds the chat from here on; `term` is higher than any before."""

    type: Literal["run_acquired"] = "run_acquired"
    worker: str
    term: int


class RunAbandoned(_Event):
    """The worker gave the chat back, unfinished; any worker may take it at once."""

    type: Literal["run_abandoned"] = "run_abandoned"
    worker: str
    term: int


class GenerationAttemptStarted(_Event):
    """A worker is about to call the model or run tools; opens the live episode.

    `epoch` is the version of the newest event that changed history; `attempt` counts
    from 1 within it. An open episode before this one is abandoned.
    """

    type: Literal["generation_attempt_started"] = "generation_attempt_started"
    epoch: int
    attempt: int
    kind: AttemptKind


class StepCommitted(_Event):
    """Closes the append that committed an attempt's messages, and its episode."""

    type: Literal["step_committed"] = "step_committed"
    epoch: int
    attempt: int
    kind: AttemptKind
    usage: Usage | None = None
    runtime_ms: int | None = None
    finish_reason: str | None = None
    model: str | None = None


class InterruptRequested(_Event):
    """Somebody asked the running turn to stop; a worker finishes the interruption."""

    type: Literal["interrupt_requested"] = "interrupt_requested"
    actor: str
    reason: str | None = None


class InterruptionFinished(_Event):
    """A worker kept what had been said (messages before this, same append); turn over.

    `epoch` and `attempt` name the episode that was cut off, when there was one.
    """

    type: Literal["interruption_finished"] = "interruption_finished"
    turn_id: int | None = None
    epoch: int | None = None
    attempt: int | None = None


class TurnFinished(_Event):
    """The turn ended well; the chat waits, or goes on with the head of its queue."""

    type: Literal["turn_finished"] = "turn_finished"
    turn_id: int | None = None
    reason: FinishReason = "complete"


class TurnFailed(_Event):
    """The turn ended in an error; the queue stays until somebody sends or edits."""

    type: Literal["turn_failed"] = "turn_failed"
    turn_id: int | None = None
    error: ChatError


ChatEvent = Annotated[
    ChatCreated
    | MessageAppended
    | MessageQueued
    | RunAcquired
    | RunAbandoned
    | GenerationAttemptStarted
    | StepCommitted
    | InterruptRequested
    | InterruptionFinished
    | TurnFinished
    | TurnFailed,
    Field(discriminator="type"),
]
