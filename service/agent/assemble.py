"""Deltas of a model, put together: live parts as they come, a whole message at the end.

Pure but for the clock that stamps parts: reasoning with its start and end, a call with
the moment that the model had written it. What the database cannot hold (NUL, lone
surrogates) is replaced here, before it reaches the preview or the log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import JsonValue, ValidationError

from service import wire
from service.domain.events.chat import Usage
from service.domain.parts import (
    Part,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    public_part,
)
from service.providers.provider import (
    BlockEnd,
    Delta,
    Finish,
    FinishReason,
    Metadata,
    ReasoningDelta,
    Source,
    TextDelta,
    ToolCall,
    ToolInputDelta,
    ToolInputStart,
    ToolResult,
    UsageReport,
)
from service.providers.texts import clean, clean_json

LivePart = dict[str, Any]


@dataclass(slots=True)
class _Block:
    """A text or reasoning block, while its deltas come and after."""

    kind: Literal["text", "reasoning"]
    created_at: datetime
    live: LivePart
    fragments: list[str] = field(default_factory=list)
    completed_at: datetime | None = None
    metadata: Metadata | None = None

    def part(self) -> Part | None:
        """The block as a part; None when there is nothing in it worth keeping."""
        text = "".join(self.fragments)
        metadata = _plain(self.metadata)
        if not text and metadata is None:
            return None
        if self.kind == "text":
            return TextPart(text=text, provider_metadata=metadata) if text else None
        return ReasoningPart(
            text=text,
            created_at=self.created_at,
            completed_at=self.completed_at,
            provider_metadata=metadata,
        )


class Assembly:
    """One answer of a model, in the making."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._content: list[_Block | Part] = []
        self._open: _Block | None = None
        self.usage: Usage | None = None
        self.finish_reason: FinishReason | None = None
        """None until the stream has ended as it should."""
        self.response: dict[str, JsonValue] | None = None
        """The vendor's final word."""

    def take(self, delta: Delta) -> LivePart | None:
        """Add a delta; gives what followers see of it, if they see anything."""
        match delta:
            case TextDelta(text):
                return self._extend("text", text)
            case ReasoningDelta(text):
                return self._extend("reasoning", text)
            case BlockEnd(metadata):
                self._end_block(metadata)
            case ToolInputStart():
                self._end_block()
            case ToolInputDelta():
                self._end_block()
                return {
                    "type": "tool-call",
                    "tool_call_id": clean(delta.tool_call_id),
                    "tool_name": clean(delta.tool_name),
                    "args_delta": clean(delta.args_delta),
                }
            case ToolCall():
                return self._add(self._call(delta))
            case ToolResult():
                return self._add(self._result(delta))
            case Source():
                return self._add(_source(delta))
            case UsageReport(usage):
                self.usage = usage
            case Finish(reason, response):
                self._end_block()
                self.finish_reason = reason
                self.response = _object(response)
        return None

    def parts(self) -> tuple[Part, ...]:
        """The message's parts in the order in which they began; may be none."""
        made = (
            item.part() if isinstance(item, _Block) else item for item in self._content
        )
        return tuple(part for part in made if part is not None)

    def _extend(self, kind: Literal["text", "reasoning"], text: str) -> LivePart:
        block = self._open
        if block is None or block.kind != kind:
            self._end_block()
            block = self._open = self._begin_block(kind)
        text = clean(text)
        block.fragments.append(text)
        return {**block.live, "text": text}

    def _begin_block(self, kind: Literal["text", "reasoning"]) -> _Block:
        now = self._now()
        live: LivePart = {"type": kind, "text": ""}
        if kind == "reasoning":
            live = public_part(ReasoningPart(text="", created_at=now))
        block = _Block(kind, now, live)
        self._content.append(block)
        return block

    def _end_block(self, metadata: Metadata | None = None) -> None:
        block, self._open = self._open, None
        if block is not None:
            block.completed_at = self._now()
            block.metadata = metadata

    def _add(self, part: Part) -> LivePart:
        self._end_block()
        self._content.append(part)
        return public_part(part)

    def _call(self, delta: ToolCall) -> ToolCallPart:
        return ToolCallPart(
            tool_call_id=clean(delta.tool_call_id),
            tool_name=clean(delta.tool_name),
            args=_storable(delta.args),
            provider_executed=delta.provider_executed,
            created_at=self._now(),
            provider_metadata=_plain(delta.provider_metadata),
        )

    def _result(self, delta: ToolResult) -> ToolResultPart:
        return ToolResultPart(
            tool_call_id=clean(delta.tool_call_id),
            tool_name=clean(delta.tool_name),
            result=_storable(delta.result),
            is_error=delta.is_error,
            provider_executed=True,
            created_at=self._now(),
            provider_metadata=_plain(delta.provider_metadata),
        )


def _source(delta: Source) -> SourcePart:
    title = None if delta.title is None else clean(delta.title)
    return SourcePart(
        source_id=clean(delta.source_id), url=clean(delta.url), title=title
    )


def _storable(value: JsonValue) -> JsonValue:
    """The value, or None when it is nested too deep for the log's codec."""
    try:
        args = ToolCallPart(tool_call_id="", tool_name="", args=clean_json(value)).args
        wire.dumps_inner(args)
    except (ValidationError, RecursionError, TypeError):
        return None
    return args


def _object(value: Metadata | None) -> dict[str, JsonValue] | None:
    storable = _storable(dict(value)) if value else None
    return storable if isinstance(storable, dict) else None


def _plain(metadata: Metadata | None) -> dict[str, JsonValue] | None:
    """As it is: a signature that was mended would sign nothing."""
    return dict(metadata) if metadata else None
