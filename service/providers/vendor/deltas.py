"""Events of a pydantic-ai stream as deltas.

Parts come one after the other, but arguments of parallel calls may interleave, and a
thought may get its signature when the next part has begun.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import JsonValue
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

from service.providers.arguments import parse_args
from service.providers.inline import InlineReasoning, Piece
from service.providers.provider import (
    BlockEnd,
    Delta,
    Metadata,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolResult,
)
from service.providers.turns import Ids
from service.providers.vendor.calls import Calls
from service.providers.vendor.marks import mark, plain
from service.providers.vendor.sources import Sources
from service.providers.vendor.thoughts import Thoughts


class Deltas:
    """Translates one stream. `visible` says whether it said anything to the user.

    `items`: the vendor answers in items that have ids.
    """

    def __init__(
        self, identity: str, *, inline_reasoning: bool = False, items: bool = False
    ) -> None:
        self._identity = identity
        self._inline = InlineReasoning() if inline_reasoning else None
        self._ids = Ids()
        self._calls = Calls()
        self._hosted: dict[str, str] = {}
        """Ids of calls that the vendor executes, by the vendor's own."""
        self._sources = Sources()
        self._thoughts = Thoughts(identity, items=items)
        self._after: dict[int, str] = {}
        """Thoughts by the parts that they led to."""
        self._open = False
        self.visible = False

    @property
    def called(self) -> bool:
        """Some call is ours to execute."""
        return bool(self._calls)

    def take(self, event: ModelResponseStreamEvent) -> Iterator[Delta]:
        """What this event adds."""
        match event:
            case PartStartEvent(index=index, part=part):
                yield from self._start(index, part)
            case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                yield from self._text(text)
            case PartDeltaEvent(index=index, delta=ThinkingPartDelta() as thinking):
                yield from self._thoughts.more(index, thinking)
            case PartDeltaEvent(index=index, delta=ToolCallPartDelta() as delta):
                yield from self._calls.more(index, delta.args_delta)
            case PartEndEvent(index=index, part=part):
                yield from self._end(index, part)

    def finish(self) -> Iterator[Delta]:
        """What waited for more that did not come."""
        yield from self._thoughts.end()
        yield from self._calls.finish()

    def _start(self, index: int, part: ModelResponsePart) -> Iterator[Delta]:
        if isinstance(part, ThinkingPart):
            yield from self._thoughts.start(index, part)
            return
        yield from self._thoughts.end()
        if self._thoughts.led is not None:
            self._after[index], self._thoughts.led = self._thoughts.led, None
        match part:
            case TextPart(content=text):
                yield from self._text(text)
            case ToolCallPart():
                yield from self._end_inline()
                self._open, self.visible = False, True
                made = self._ids.take(part.tool_call_id)
                yield from self._calls.begin(index, made, part.tool_name, part.args)
            case NativeToolCallPart():
                self._hosted[part.tool_call_id] = self._ids.take(part.tool_call_id)
            case NativeToolReturnPart():
                yield from self._result(part)

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

    def _end(self, index: int, part: ModelResponsePart) -> Iterator[Delta]:
        match part:
            case ThinkingPart():
                yield from self._thoughts.end_part(index, part)
            case TextPart():
                yield from self._end_inline()
                if self._open:
                    self._open = False
                    yield BlockEnd(self._mark(index, part.id, part))
                yield from self._sources.cited(part.citations or ())
            case NativeToolCallPart():
                yield from self._hosted_call(index, part)
            case ToolCallPart():
                yield from self._calls.end(index, self._mark(index, part.id, part))

    def _hosted_call(self, index: int, part: NativeToolCallPart) -> Iterator[Delta]:
        made = self._hosted.get(part.tool_call_id)
        if made is None:
            return
        args = part.args
        yield ToolCall(
            made,
            part.tool_name,
            parse_args(args) if isinstance(args, str) else plain(args or {}),
            provider_executed=True,
            provider_metadata=self._mark(index, part.tool_call_id, part),
        )

    def _result(self, part: NativeToolReturnPart) -> Iterator[Delta]:
        made = self._hosted.pop(part.tool_call_id, None)
        if made is None:
            return
        result = plain(part.content)
        yield ToolResult(
            made,
            part.tool_name,
            result,
            is_error=_failed(result),
            provider_metadata=self._mark(None, part.tool_call_id, part),
        )
        yield from self._sources.found(result)

    def _mark(
        self,
        index: int | None,
        item_id: str | None,
        part: TextPart | ToolCallPart | NativeToolCallPart | NativeToolReturnPart,
    ) -> Metadata | None:
        after = None if index is None else self._after.get(index)
        details = part.provider_details
        return mark(self._identity, after=after, id=item_id, details=details)


def _failed(result: JsonValue) -> bool:
    if not isinstance(result, dict):
        return False
    return "error_code" in result or result.get("status") == "failed"
