"""What can be asked of a chat. Ids and the clock reading come in with the command.

A worker's commands carry its fence: worker and term, and the epoch it saw.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from service.domain.events.chat import (
    AttemptKind,
    BusyBehavior,
    ChatError,
    ChatEvent,
    ClientTool,
    ClientType,
    CompactionSource,
    FinishReason,
    ModelRef,
    PlanMode,
    StepKind,
    TitleSource,
    TurnSettings,
    Usage,
    Visibility,
)
from service.domain.parts import Part
from service.domain.times import Instant


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    now: Instant


class DraftMessage(BaseModel):
    """A worker's message that is to be appended; it gets its id by being appended."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    role: Literal["assistant", "tool"]
    parts: tuple[Part, ...]
    visibility: Visibility = "both"


class ToolOutput(BaseModel):
    """What a client's tool gave back."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    tool_call_id: str
    output: JsonValue = None
    is_error: bool = False


class CreateChat(_Command):
    """A chat starts with a first message. `title` is the fallback title.

    A spawned chat names its parent and root; see SpawnChild.
    """

    organization_id: UUID
    owner_id: UUID
    title: str
    parts: tuple[Part, ...] = Field(min_length=1)
    system_prompt: str | None = None
    settings: TurnSettings | None = None
    client_type: ClientType = "api"
    labels: dict[str, str] = Field(default_factory=dict)
    plan_mode: PlanMode = ""
    client_tools: tuple[ClientTool, ...] = ()
    default_prompt: int = 0
    deployment_prompt: str = ""
    parent_chat_id: UUID | None = None
    root_chat_id: UUID | None = None


class ForkChat(_Command):
    """A new chat that begins as a copy: `events` are those of the other chat, 1 to n.

    They end at an append border, and none of them was erased.
    """

    actor: str
    source_chat_id: UUID
    owner_id: UUID
    organization_id: UUID
    events: tuple[ChatEvent, ...] = Field(min_length=1)


class SendMessage(_Command):
    """A user says something; a busy chat queues it, or is interrupted first.

    `settings.plan_mode` becomes the chat's at once, whatever happens to the message.
    """

    sender_id: UUID
    parts: tuple[Part, ...] = Field(min_length=1)
    settings: TurnSettings | None = None
    busy_behavior: BusyBehavior = "queue"


class EditMessage(_Command):
    """Take back a user message and all that followed, and say this instead.

    The new message keeps the settings of the old one, but for those that are given, and
    for the plan mode: that is the chat's, at once also one that is given.
    """

    sender_id: UUID
    message_id: int
    parts: tuple[Part, ...] = Field(min_length=1)
    settings: TurnSettings | None = None


class DeleteQueued(_Command):
    """Take a message out of the queue."""

    actor: str
    queued_id: int


class PromoteQueued(_Command):
    """Take a message of the queue next; a running turn is interrupted for it."""

    actor: str
    queued_id: int


class Interrupt(_Command):
    """Stop the running turn; what was said is kept."""

    actor: str
    reason: str | None = None


class SubmitToolResults(_Command):
    """A client answers the calls that wait for it: all of them, or none."""

    actor: str
    results: tuple[ToolOutput, ...]


class RequestCompaction(_Command):
    """Shorten the history before the next turn."""

    actor: str


class Reconcile(_Command):
    """Put a chat that is in no legal state into error."""

    actor: str


class UpdateChat(_Command):
    """Change what the chat is called, where it stands, what its turns use.

    A field that is not given is not touched. All of them change, or none.
    """

    actor: str
    title: str | None = None
    title_source: TitleSource = "user"
    expected_title: str | None = None
    """Only while the title is still this one; for who took long to think of one."""
    labels: dict[str, str] | None = None
    pin_key: str | None = None
    """Sort key among the owner's pins; empty: no pin any more."""
    plan_mode: PlanMode | None = None
    workspace_id: UUID | None = None
    model_config_id: UUID | None = None
    mcp_server_ids: tuple[UUID, ...] | None = None
    archived: bool | None = None


class NameChat(_Command):
    """A model was asked for a title: what that took, and maybe what it said.

    The title is taken only while the chat still has `expected_title`.
    """

    actor: str
    asked: ModelRef
    title: str | None = None
    """None: none came of it, or nobody wants it kept."""
    expected_title: str
    unasked: bool = False
    """Then it is taken only where nobody has named the chat: who gave it another name,
    and then its first words again, means those."""
    usage: Usage | None = None
    cost_micros: int | None = None
    runtime_ms: int | None = None


class ArchiveMember(_Command):
    """A chat goes where the root of its family goes; part of the root's request."""

    actor: str
    archived: bool


class MoveReadCursor(_Command):
    """The owner has seen everything up to `message_id`; None: up to the newest."""

    actor: str
    message_id: int | None = None


class SpawnChild(_Command):
    """A chat of this root's family is created; its CreateChat is in the same request.

    A depth of one: whoever spawns is the root.
    """

    actor: str
    child_id: UUID


class AcquireRun(_Command):
    """A worker that holds the lease takes the chat; rejected unless term is higher."""

    worker: str
    term: int


class _Fenced(_Command):
    worker: str
    term: int
    epoch: int


class AbandonRun(_Command):
    """The worker gives the chat back."""

    worker: str
    term: int


class StartAttempt(_Fenced):
    """The worker is about to call the model or to run tools."""

    kind: AttemptKind
    asked: ModelRef | None = None


class Spent(BaseModel):
    """What a model call took that left no message behind."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    asked: ModelRef
    usage: Usage
    cost_micros: int | None = None
    runtime_ms: int | None = None


class ScheduleRetry(_Fenced):
    """The attempt failed in a way that may pass; the next begins at `retrying_at`."""

    attempt: int
    delay_ms: int
    retrying_at: Instant
    error: ChatError
    spent: Spent | None = None


class RequireAction(_Fenced):
    """All that is left to answer are calls of the client's tools; wait for them."""

    deadline: Instant


class CancelToolCalls(_Fenced):
    """The client's time is up: its calls are answered with an error."""

    reason: str = "timed out"


class CommitStep(_Fenced):
    """The attempt's messages enter the history, all together. At least one."""

    attempt: int
    kind: StepKind
    messages: tuple[DraftMessage, ...] = Field(min_length=1)
    asked: ModelRef | None = None
    usage: Usage | None = None
    cost_micros: int | None = None
    runtime_ms: int | None = None
    finish_reason: str | None = None
    response: dict[str, JsonValue] | None = None


class CommitCompaction(_Fenced):
    """The attempt's summary takes the place of the history, for the model only."""

    attempt: int
    summary: str = Field(min_length=1)
    """What the model is told instead; whole, with its introduction."""
    shown: str = Field(min_length=1)
    """What people see of it."""
    source: CompactionSource
    threshold_percent: int | None = None
    context_tokens: int | None = None
    context_limit: int | None = None
    asked: ModelRef | None = None
    usage: Usage | None = None
    cost_micros: int | None = None
    runtime_ms: int | None = None
    finish_reason: str | None = None
    response: dict[str, JsonValue] | None = None


class FinishInterruption(_Fenced):
    """The worker ends an interrupted turn with what had been said (may be nothing)."""

    partial: tuple[DraftMessage, ...] = ()


class FinishTurn(_Fenced):
    """The turn is complete; the head of the queue, if any, begins the next one."""

    reason: FinishReason = "complete"
    spent: Spent | None = None
    """What the model took to say nothing."""


class FinishError(_Fenced):
    """The turn cannot go on."""

    error: ChatError
    spent: Spent | None = None


UserCommand = (
    CreateChat
    | ForkChat
    | SendMessage
    | EditMessage
    | DeleteQueued
    | PromoteQueued
    | Interrupt
    | SubmitToolResults
    | RequestCompaction
    | Reconcile
    | UpdateChat
    | NameChat
    | ArchiveMember
    | MoveReadCursor
    | SpawnChild
)
"""What people and programs ask for."""

WorkerCommand = (
    AbandonRun
    | StartAttempt
    | ScheduleRetry
    | RequireAction
    | CancelToolCalls
    | CommitStep
    | CommitCompaction
    | FinishInterruption
    | FinishTurn
    | FinishError
)
"""What only the worker that holds the chat may ask for."""

ChatCommand = UserCommand | AcquireRun | WorkerCommand
