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
    ModelResponsePart,
    ModelResponseStreamEvent,
    NativeToolCallPart,
    NativeToolReturnPart,
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

from service import wire
from service.providers.arguments import parse_args
from service.providers.inline import InlineReasoning, Piece
from service.providers.provider import (
    BlockEnd,
    Delta,
    Metadata,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolInputDelta,
    ToolInputStart,
    ToolResult,
)
from service.providers.turns import Ids
from service.providers.vendor.sources import Sources

SUMMARY_BREAK = "\n\n"
"""Between the summaries of one thought."""

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
        return parse_args("".join(self.fragments))


@dataclass(slots=True)
class _Thought:
    """A reasoning block that may still get its signature, or another summary."""

    index: int
    after: str | None
    id: str | None
    signature: str | None
    details: dict[str, Any] | None
    lengths: list[int]
    """Of its summaries, in characters."""


class Deltas:
    """Translates one stream. `visible` says whether it said anything to the user.

    `items`: the vendor gives one thought as several parts of one id.
    """

    def __init__(
        self, identity: str, *, inline_reasoning: bool = False, items: bool = False
    ) -> None:
        self._identity = identity
        self._items = items
        self._inline = InlineReasoning() if inline_reasoning else None
        self._ids = Ids()
        self._calls: dict[int, _Call] = {}
        self._waiting: list[_Call] = []
        """Calls that were begun and not yet passed on, in their order."""
        self._hosted: dict[str, str] = {}
        """Ids of calls that the vendor executes, by the vendor's own."""
        self._sources = Sources()
        self._thought: _Thought | None = None
        self._led: str | None = None
        """The thought that ended just now, by the vendor's id."""
        self._after: dict[int, str] = {}
        """Thoughts by the parts that they led to."""
        self._open = False
        self.visible = False
        self.called = False
        """Some call is ours to execute."""

    def take(self, event: ModelResponseStreamEvent) -> Iterator[Delta]:
        """What this event adds."""
        match event:
            case PartStartEvent(index=index, part=part):
                yield from self._start(index, part)
            case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                yield from self._text(text)
            case PartDeltaEvent(index=index, delta=ThinkingPartDelta() as thinking):
                yield from self._think(index, thinking)
            case PartDeltaEvent(index=index, delta=ToolCallPartDelta() as delta):
                yield from self._input(self._calls.get(index), delta.args_delta)
            case PartEndEvent(index=index, part=part):
                yield from self._end(index, part)

    def finish(self) -> Iterator[Delta]:
        """Calls that wait, whatever became of their arguments."""
        yield from self._end_thought()
        for call in self._waiting:
            # tools without parameters are called with nothing at all
            if not "".join(call.fragments).strip():
                call.fragments.append("{}")
            yield self._whole(call)
        self._waiting = []

    def _start(self, index: int, part: ModelResponsePart) -> Iterator[Delta]:
        if isinstance(part, ThinkingPart):
            yield from self._start_thought(index, part)
            return
        yield from self._end_thought()
        if self._led is not None:
            self._after[index], self._led = self._led, None
        match part:
            case TextPart(content=text):
                yield from self._text(text)
            case ToolCallPart():
                yield from self._end_inline()
                call = _Call(self._ids.take(part.tool_call_id), part.tool_name)
                self._calls[index] = call
                self._waiting.append(call)
                self._open, self.visible, self.called = False, True, True
                yield ToolInputStart(call.id, call.name)
                yield from self._input(call, part.args)
            case NativeToolCallPart():
                self._hosted[part.tool_call_id] = self._ids.take(part.tool_call_id)
            case NativeToolReturnPart():
                yield from self._result(part)

    def _start_thought(self, index: int, part: ThinkingPart) -> Iterator[Delta]:
        thought = self._thought
        again = thought is not None and self._items and part.id == thought.id
        if thought is not None and again:
            thought.lengths.append(len(part.content))
            yield ReasoningDelta(SUMMARY_BREAK + part.content)
            return
        yield from self._end_thought()
        self._thought = _Thought(
            index=index,
            after=self._led,
            id=part.id,
            signature=part.signature,
            details=part.provider_details,
            lengths=[len(part.content)],
        )
        # also without text: a signature alone must be kept
        yield ReasoningDelta(part.content)

    def _think(self, index: int, delta: ThinkingPartDelta) -> Iterator[Delta]:
        thought = self._thought
        if thought is None:
            return
        if text := delta.content_delta:
            thought.lengths[-1] += len(text)
            yield ReasoningDelta(text)
        if index == thought.index and delta.signature_delta:
            thought.signature = delta.signature_delta

    def _end_thought(self) -> Iterator[Delta]:
        thought, self._thought = self._thought, None
        if thought is None:
            return
        lengths = thought.lengths if len(thought.lengths) > 1 else None
        self._led = thought.id if self._items else None
        yield BlockEnd(
            self._metadata(
                after=thought.after,
                # which of its fields a vendor had used, or that it is redacted
                id=thought.id,
                signature=thought.signature,
                details=thought.details,
                lengths=lengths,
            )
        )

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

    def _input(
        self, call: _Call | None, args: str | Mapping[str, Any] | None
    ) -> Iterator[Delta]:
        if call is None or not args:
            return
        fragment = args if isinstance(args, str) else wire.dumps(args).decode()
        call.fragments.append(fragment)
        yield ToolInputDelta(call.id, call.name, fragment)

    def _end(self, index: int, part: ModelResponsePart) -> Iterator[Delta]:
        match part:
            case ThinkingPart():
                thought = self._thought
                if thought is not None and index == thought.index:
                    thought.signature = part.signature
                    thought.details = part.provider_details
                if not self._items:
                    yield from self._end_thought()
            case TextPart():
                yield from self._end_inline()
                if self._open:
                    self._open = False
                    yield BlockEnd(
                        self._metadata(
                            after=self._after.get(index),
                            id=part.id,
                            details=part.provider_details,
                        )
                    )
                yield from self._sources.cited(part.citations or ())
            case NativeToolCallPart():
                yield from self._hosted_call(index, part)
            case ToolCallPart():
                yield from self._end_call(index, part)

    def _end_call(self, index: int, part: ToolCallPart) -> Iterator[Delta]:
        call = self._calls.get(index)
        if call is None:
            return
        call.ended = True
        call.metadata = self._metadata(
            after=self._after.get(index), id=part.id, details=part.provider_details
        )
        # a call that is whole waits for those before it
        while self._waiting and self._waiting[0].ended:
            if self._waiting[0].args() is None:
                return
            yield self._whole(self._waiting.pop(0))

    def _hosted_call(self, index: int, part: NativeToolCallPart) -> Iterator[Delta]:
        made = self._hosted.get(part.tool_call_id)
        if made is None:
            return
        args = part.args
        yield ToolCall(
            made,
            part.tool_name,
            parse_args(args) if isinstance(args, str) else _plain(args or {}),
            provider_executed=True,
            provider_metadata=self._metadata(
                after=self._after.get(index),
                id=part.tool_call_id,
                details=part.provider_details,
            ),
        )

    def _result(self, part: NativeToolReturnPart) -> Iterator[Delta]:
        made = self._hosted.pop(part.tool_call_id, None)
        if made is None:
            return
        result = _plain(part.content)
        yield ToolResult(
            made,
            part.tool_name,
            result,
            is_error=_failed(result),
            provider_metadata=self._metadata(
                id=part.tool_call_id, details=part.provider_details
            ),
        )
        yield from self._sources.found(result)

    def _whole(self, call: _Call) -> ToolCall:
        args = call.args()
        return ToolCall(call.id, call.name, args, provider_metadata=call.metadata)

    def _metadata(self, **found: Any) -> Metadata | None:
        kept = {key: value for key, value in found.items() if value}
        plain = _plain({"provider": self._identity, **kept}) if kept else None
        return plain if isinstance(plain, dict) else None


def _plain(value: object) -> JsonValue:
    """The value where it is JSON, else None."""
    try:
        return _JSON.validate_python(value)
    except ValidationError:
        return None


def _failed(result: JsonValue) -> bool:
    if not isinstance(result, dict):
        return False
    return "error_code" in result or result.get("status") == "failed"
