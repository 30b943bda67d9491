"""Deltas of a model, put together: live parts as they come, a whole message at the end.

Pure but for the clock that stamps parts: reasoning with its start and end, a call with
the moment that the model had written it. What the database cannot hold (NUL, lone
surrogates) is replaced here, before it reaches the preview or the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import JsonValue, ValidationError

from service.domain.events.chat import Usage
from service.domain.parts import (
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    public_part,
)
from service.providers.provider import (
    BlockEnd,
    Delta,
    Finish,
    FinishReason,
    Metadata,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolInputDelta,
    ToolInputStart,
    UsageReport,
)

LivePart = dict[str, Any]

REPLACEMENT = "\ufffd"


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
        metadata = dict(self.metadata) if self.metadata else None
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
        self._content: list[_Block | ToolCallPart] = []
        self._open: _Block | None = None
        self.usage: Usage | None = None
        self.finish_reason: FinishReason | None = None
        """None until the stream has ended as it should."""

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
                self._end_block()
                return self._call(delta)
            case UsageReport(usage):
                self.usage = usage
            case Finish(reason):
                self._end_block()
                self.finish_reason = reason
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

    def _call(self, delta: ToolCall) -> LivePart:
        part = ToolCallPart(
            tool_call_id=clean(delta.tool_call_id),
            tool_name=clean(delta.tool_name),
            args=_storable(delta.args),
            provider_executed=delta.provider_executed,
            created_at=self._now(),
            provider_metadata=_plain(delta.provider_metadata),
        )
        self._content.append(part)
        return public_part(part)


def clean(text: str) -> str:
    """The text without what Postgres refuses in jsonb."""
    if text.isascii():
        return text.replace("\x00", REPLACEMENT)
    cleaned = text.replace("\x00", REPLACEMENT)
    return cleaned.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def clean_json(value: JsonValue) -> JsonValue:
    """The same for every text within a JSON value."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [clean_json(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): clean_json(item) for key, item in value.items()}
    return value


def _storable(args: JsonValue) -> JsonValue:
    """The arguments, or None when they are nested too deep for the log's codec."""
    try:
        return ToolCallPart(tool_call_id="", tool_name="", args=clean_json(args)).args
    except (ValidationError, RecursionError):
        return None


def _plain(metadata: Mapping[str, JsonValue] | None) -> dict[str, JsonValue] | None:
    return dict(metadata) if metadata else None
