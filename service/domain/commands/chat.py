"""What can be asked of a chat. Ids and the clock reading come in with the command.

A worker's commands carry its fence: worker and term, and the epoch it saw.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from service.domain.events.chat import (
    AttemptKind,
    BusyBehavior,
    ChatError,
    ClientType,
    FinishReason,
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


class CreateChat(_Command):
    """A user starts a chat with a first message. `title` is the fallback title."""

    organization_id: UUID
    owner_id: UUID
    title: str
    parts: tuple[Part, ...] = Field(min_length=1)
    system_prompt: str | None = None
    settings: TurnSettings | None = None
    client_type: ClientType = "api"
    labels: dict[str, str] = Field(default_factory=dict)


class SendMessage(_Command):
    """A user says something; a busy chat queues it, or is interrupted first."""

    sender_id: UUID
    parts: tuple[Part, ...] = Field(min_length=1)
    settings: TurnSettings | None = None
    busy_behavior: BusyBehavior = "queue"


class Interrupt(_Command):
    """Stop the running turn; what was said is kept."""

    actor: str
    reason: str | None = None


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


class CommitStep(_Fenced):
    """The attempt's messages enter the history, all together. At least one."""

    attempt: int
    kind: AttemptKind
    messages: tuple[DraftMessage, ...] = Field(min_length=1)
    usage: Usage | None = None
    runtime_ms: int | None = None
    finish_reason: str | None = None
    model: str | None = None


class FinishInterruption(_Fenced):
    """The worker ends an interrupted turn with what had been said (may be nothing)."""

    partial: tuple[DraftMessage, ...] = ()


class FinishTurn(_Fenced):
    """The turn is complete; the head of the queue, if any, begins the next one."""

    reason: FinishReason = "complete"


class FinishError(_Fenced):
    """The turn cannot go on."""

    error: ChatError


ChatCommand = (
    CreateChat
    | SendMessage
    | Interrupt
    | AcquireRun
    | AbandonRun
    | StartAttempt
    | CommitStep
    | FinishInterruption
    | FinishTurn
    | FinishError
)
