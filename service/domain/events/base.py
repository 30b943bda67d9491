"""What events share: their base, the words they use, and the shapes inside them."""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, JsonValue

from service.domain.times import Instant

Role = Literal["system", "user", "assistant", "tool"]
Visibility = Literal["user", "model", "both"]
AttemptKind = Literal["model", "tools", "compaction"]
StepKind = Literal["model", "tools"]
ClientType = Literal["ui", "api"]
BusyBehavior = Literal["queue", "interrupt"]
FinishReason = Literal["complete", "max_steps", "stop_tool"]
TitleSource = Literal["fallback", "user", "model"]
CompactionSource = Literal["automatic", "manual"]
Purpose = Literal["turn", "title", "compaction", "subagent"]
PlanMode = Literal["", "plan"]


class Event(BaseModel):
    """What happened, and the clock reading of the command that caused it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    schema_version: ClassVar[int] = 1
    at: Instant


class Shape(BaseModel):
    """Something inside an event."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ChatError(Shape):
    """Why a turn failed, as clients see it. `kind` is one of the api.md 2.4 kinds."""

    message: str
    kind: str = "generic"
    detail: str | None = None
    provider: str | None = None
    retryable: bool = False
    status_code: int | None = None
    context_limit: int | None = None
    """Tokens that fit into the model's context, when the vendor said so."""


class Usage(Shape):
    """Tokens of one model call, as the provider counted them."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_creation_tokens: int | None = None
    cache_read_tokens: int | None = None
    context_limit: int | None = None


class ModelRef(Shape):
    """A model that was asked: the vendor's kind, its name there, and whose config."""

    provider: str
    model: str
    model_config_id: UUID | None = None
    """None: the model that the environment names."""


class TurnSettings(Shape):
    """What a user message asks of its turn; also while it waits in the queue.

    `model_config_id` becomes the chat's when the message enters the history.
    """

    model: str | None = None
    model_config_id: UUID | None = None
    reasoning_effort: str | None = None
    plan_mode: PlanMode | None = None


class ClientTool(Shape):
    """A tool that a client of the chat runs. `input_schema` is a JSON Schema."""

    name: str
    description: str = ""
    input_schema: dict[str, Any]


class PendingCall(Shape):
    """A call that waits for a client; `args` as the model gave them."""

    tool_call_id: str
    tool_name: str
    args: JsonValue = None


class Origin(Shape):
    """Where a fork comes from: a chat, and the version that it was copied up to."""

    chat_id: UUID
    version: int
