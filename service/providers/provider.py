"""The seam to a model: one request in, typed deltas out.

A stream is a sequence of blocks. Text and reasoning come one block at a time, their
deltas in order; a block ends with `BlockEnd` or when another kind of delta begins.
Tool input may interleave, by call id; a complete `ToolCall` ends its input. A stream
ends with one `Finish`; one that ends without it was cut off. What goes wrong is a
`ProviderError`; an SDK's own retries are off, for a retry is an event.

Adapters for vendors map their part start, delta and end events to these one to one;
`provider_metadata` carries what the vendor wants back unchanged (signatures).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol
from uuid import UUID

from pydantic import JsonValue

from service.domain.chat.state import Message
from service.domain.events.chat import PlanMode, Usage
from service.errors import Fault

ErrorKind = Literal[
    "generic",
    "overloaded",
    "rate_limit",
    "timeout",
    "stream_silence_timeout",
    "auth",
    "config",
    "usage_limit",
    "missing_key",
    "provider_disabled",
    "content_filter",
]

FinishReason = Literal["stop", "tool_calls", "length", "content_filter", "other"]

Metadata = Mapping[str, JsonValue]

RESPONSE_BYTES = 65_536
"""Of a vendor's final word; what has more is cut down to its head."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The vendor has begun to answer; nothing that anybody sees came yet.

    Slow models send this long before their first word. At most once, first of all.
    """


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the text block that is open; opens one if none is."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the reasoning block that is open; opens one if none is."""

    text: str


@dataclass(frozen=True, slots=True)
class BlockEnd:
    """The open text or reasoning block is complete."""

    provider_metadata: Metadata | None = None


@dataclass(frozen=True, slots=True)
class ToolInputStart:
    """The model begins to write a call."""

    tool_call_id: str
    tool_name: str


@dataclass(frozen=True, slots=True)
class ToolInputDelta:
    """More of a call's arguments, as JSON text."""

    tool_call_id: str
    tool_name: str
    args_delta: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A complete call. `args` is None when the arguments were not valid JSON."""

    tool_call_id: str
    tool_name: str
    args: JsonValue
    provider_executed: bool = False
    provider_metadata: Metadata | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a call that the vendor itself executed; it follows its call."""

    tool_call_id: str
    tool_name: str
    result: JsonValue
    is_error: bool = False
    provider_metadata: Metadata | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A page that the answer relies on."""

    source_id: str
    url: str
    title: str | None = None


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Tokens so far; a later report replaces an earlier one."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Finish:
    """The answer is complete; nothing follows.

    `response` is the vendor's final word as it came (id, usage, finish reason), without
    what the deltas said, at most RESPONSE_BYTES of JSON.
    """

    reason: FinishReason
    response: Metadata | None = None


Delta = (
    Opened
    | TextDelta
    | ReasoningDelta
    | BlockEnd
    | ToolInputStart
    | ToolInputDelta
    | ToolCall
    | ToolResult
    | Source
    | UsageReport
    | Finish
)


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it. `parameters` is a JSON Schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file that a user attached, as it is stored."""

    media_type: str
    data: bytes
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """The whole history that the model may see, and what it may call."""

    messages: Sequence[Message]
    """Without those of the role system: see `system`."""
    tools: Sequence[ToolSpec]
    system: Sequence[str] = ()
    """What the model is told first, in this order; none is blank."""
    model: str | None = None
    """Absent: the provider's default."""
    reasoning_effort: str | None = None
    """none, minimal, low, medium, high, xhigh or max; None: as the model likes."""
    plan_mode: PlanMode = ""
    """`plan`: this turn is to plan, not to do."""
    max_output_tokens: int | None = None
    temperature: float | None = None
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    """Options of the model's config, by the names that the README lists."""
    tool_choice: Literal["auto", "none"] = "auto"
    """`none`: the tools are told, so that caches hold, and may not be called."""
    files: Mapping[UUID, FileContent] = field(default_factory=dict)
    """Files of the messages that still exist, by id."""
    attempt: int = 1
    """Which try this is on the same history."""
    session: str | None = None
    """The same for all requests that begin alike; for vendors' caches."""


@dataclass(eq=False)
class ProviderError(Fault):
    """The model could not answer. `message` is for clients: no secret, no user text."""

    kind: ErrorKind
    message: str
    retryable: bool = False
    status_code: int | None = None
    detail: str | None = field(default=None, repr=False)
    """What the vendor says, shortened, without keys and URLs; for the chat, no log."""
    retry_after_s: float | None = None
    """How long the vendor asks to wait."""
    context_limit: int | None = None
    """Tokens that the model's context holds, when the vendor said so."""

    def __str__(self) -> str:
        status = f" (HTTP {self.status_code})" if self.status_code else ""
        return f"{self.kind}{status}: {self.message}"


class Provider(Protocol):
    """A model behind whatever API. Safe to call concurrently."""

    @property
    def name(self) -> str:
        """Names the provider in errors."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Ask the model. Closing the generator, or cancelling, ends the call at once.

        Raises ProviderError, at the start or in the middle.
        """
        ...
