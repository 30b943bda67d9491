"""Events of a pydantic-ai stream as deltas.

Parts come one after the other, but arguments of parallel calls may interleave: a call
is whole when its arguments are, at the latest when the stream ends. What the vendor
wants back unchanged goes into `provider_metadata`, marked with who wants it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError
from pydantic_ai.messages import (
    FinishReason as VendorFinishReason,
)
from pydantic_ai.messages import (
    ModelResponsePart,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)
from pydantic_ai.usage import RequestUsage

from service import wire
from service.domain.events.chat import Usage
from service.providers.inline import InlineReasoning, Piece
from service.providers.prompt import unique
from service.providers.provider import (
    BlockEnd,
    Delta,
    FinishReason,
    Metadata,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolInputDelta,
    ToolInputStart,
)

FINISH_REASONS: dict[VendorFinishReason, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_call": "tool_calls",
}

_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    fragments: list[str] = field(default_factory=list)
    ended: bool = False
    metadata: Metadata | None = None

    def args(self) -> JsonValue:
        """The arguments as JSON; None while they are none."""
        try:
            args: JsonValue = wire.loads("".join(self.fragments))
        except wire.JSONDecodeError:
            return None
        return args


class Deltas:
    """Translates one stream. `visible` says whether it held anything but reasoning."""

    def __init__(self, identity: str, *, inline_reasoning: bool = False) -> None:
        self._identity = identity
        self._inline = InlineReasoning() if inline_reasoning else None
        self._ids: set[str] = set()
        self._calls: dict[int, _Call] = {}
        self._waiting: list[_Call] = []
        """Calls that were begun and not yet passed on, in their order."""
        self._open = False
        self.visible = False

    def take(self, event: ModelResponseStreamEvent) -> Iterator[Delta]:
        """What this event adds."""
        match event:
            case PartStartEvent(index=index, part=part):
                yield from self._start(index, part)
            case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                yield from self._text(text)
            case PartDeltaEvent(delta=ThinkingPartDelta(content_delta=text)):
                yield from self._reasoning(text)
            case PartDeltaEvent(index=index, delta=ToolCallPartDelta() as delta):
                yield from self._input(self._calls.get(index), delta.args_delta)
            case PartEndEvent(index=index, part=part):
                yield from self._end(index, part)

    def finish(self) -> Iterator[Delta]:
        """Calls that wait, whatever became of their arguments."""
        for call in self._waiting:
            # tools without parameters are called with nothing at all
            if not "".join(call.fragments).strip():
                call.fragments.append("{}")
            yield _whole(call)
        self._waiting = []

    def _start(self, index: int, part: ModelResponsePart) -> Iterator[Delta]:
        match part:
            case TextPart(content=text):
                yield from self._text(text)
            case ThinkingPart(content=text):
                # also without text: a signature alone must be kept
                self._open = True
                yield ReasoningDelta(text)
            case ToolCallPart():
                yield from self._end_inline()
                call = _Call(unique(part.tool_call_id, self._ids), part.tool_name)
                self._calls[index] = call
                self._waiting.append(call)
                self._open, self.visible = False, True
                yield ToolInputStart(call.id, call.name)
                yield from self._input(call, part.args)

    def _text(self, text: str) -> Iterator[Delta]:
        if self._inline is not None:
            yield from self._pieces(self._inline.take(text))
        elif text:
            self._open = self.visible = True
            yield TextDelta(text)

    def _end_inline(self) -> Iterator[Delta]:
        """The tags stand at the beginning of an answer, nowhere else."""
        inline, self._inline = self._inline, None
        if inline is not None:
            yield from self._pieces(inline.end())

    def _pieces(self, pieces: Iterable[Piece]) -> Iterator[Delta]:
        for kind, text in pieces:
            self._open = True
            if kind == "reasoning":
                yield ReasoningDelta(text)
            else:
                self.visible = True
                yield TextDelta(text)

    def _reasoning(self, text: str | None) -> Iterator[Delta]:
        if text:
            yield ReasoningDelta(text)

    def _input(
        self, call: _Call | None, args: str | Mapping[str, Any] | None
    ) -> Iterator[Delta]:
        if call is None or not args:
            return
        fragment = args if isinstance(args, str) else wire.dumps(args).decode()
        call.fragments.append(fragment)
        yield ToolInputDelta(call.id, call.name, fragment)

    def _end(self, index: int, part: ModelResponsePart) -> Iterator[Delta]:
        if isinstance(part, TextPart):
            yield from self._end_inline()
        metadata = self._metadata(part)
        call = self._calls.get(index)
        if call is not None:
            call.ended, call.metadata = True, metadata
            # a call that is whole waits for those before it
            while self._waiting and self._waiting[0].ended:
                if self._waiting[0].args() is None:
                    return
                yield _whole(self._waiting.pop(0))
        elif self._open:
            self._open = False
            yield BlockEnd(metadata)

    def _metadata(self, part: ModelResponsePart) -> Metadata | None:
        found: dict[str, Any] = {
            "signature": part.signature if isinstance(part, ThinkingPart) else None,
            "details": getattr(part, "provider_details", None),
        }
        if isinstance(part, ThinkingPart):
            # which of its fields a vendor had used, or that it is redacted
            found["id"] = part.id
        kept = {key: value for key, value in found.items() if value}
        if not kept:
            return None
        try:
            return _JSON.validate_python({"provider": self._identity, **kept})  # type: ignore[return-value]
        except ValidationError:
            return None


def usage_of(usage: RequestUsage) -> Usage | None:
    """Tokens; those read from and written to a cache are not counted as input."""
    if not usage.input_tokens and not usage.output_tokens:
        return None
    cached = usage.cache_read_tokens + usage.cache_write_tokens
    details = usage.details
    reasoning = details.get("reasoning_tokens") or details.get("thinking_tokens")
    return Usage(
        input_tokens=max(0, usage.input_tokens - cached),
        output_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        reasoning_tokens=reasoning,
        cache_read_tokens=usage.cache_read_tokens or None,
        cache_creation_tokens=usage.cache_write_tokens or None,
    )


def _whole(call: _Call) -> ToolCall:
    return ToolCall(call.id, call.name, call.args(), provider_metadata=call.metadata)
