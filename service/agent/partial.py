"""What a cut-off attempt had said, as messages: built from its live parts.

Deltas are joined in order. A call counts when the model had written it whole: a
complete call, or argument deltas that form valid JSON; half a call is dropped. Results
of our tools become tool messages in the place where they came. Calls that no result
answers get theirs from the decider, in the same append; nothing here invents one. What
the vendor itself executed stays in its message, and counts only with its result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from service.domain.commands.chat import DraftMessage
from service.domain.parts import (
    Part,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from service.providers.arguments import parse_args


@dataclass(slots=True)
class _Text:
    fragments: list[str]

    def part(self, _now: datetime) -> Part | None:
        text = "".join(self.fragments)
        return TextPart(text=text) if text else None


@dataclass(slots=True)
class _Reasoning:
    fragments: list[str]
    created_at: str | None

    def part(self, now: datetime) -> Part | None:
        text = "".join(self.fragments)
        if not text:
            return None
        begun = datetime.fromisoformat(self.created_at) if self.created_at else None
        return ReasoningPart(text=text, created_at=begun, completed_at=now)


@dataclass(slots=True)
class _Call:
    tool_call_id: str
    tool_name: str
    fragments: list[str] = field(default_factory=list)
    whole: ToolCallPart | None = None

    def part(self, now: datetime) -> Part | None:
        if self.whole is not None:
            return self.whole
        args = parse_args("".join(self.fragments))
        if args is None:
            return None
        return ToolCallPart(
            tool_call_id=self.tool_call_id,
            tool_name=self.tool_name,
            args=args,
            created_at=now,
        )


@dataclass(slots=True)
class _Whole:
    """A part that comes in one piece."""

    whole: SourcePart | ToolResultPart

    def part(self, _now: datetime) -> Part | None:
        return self.whole


_Item = _Text | _Reasoning | _Call | _Whole


class _Said:
    """Rows taken one by one: assistant content that is open, messages before it."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._messages: list[list[_Item] | ToolResultPart] = []

    def take(self, data: Mapping[str, Any]) -> None:
        part = data["part"]
        if part["type"] == "tool-result":
            self._take_result(ToolResultPart.model_validate(part))
        elif part["type"] == "source":
            self._content().append(_Whole(SourcePart.model_validate(part)))
        elif part["type"] in ("text", "reasoning"):
            self._take_text(part)
        elif part["type"] == "tool-call":
            self._take_call(part)

    def _content(self) -> list[_Item]:
        last = self._messages[-1] if self._messages else None
        if not isinstance(last, list):
            last = []
            self._messages.append(last)
        return last

    def _take_result(self, result: ToolResultPart) -> None:
        if result.provider_executed:
            self._content().append(_Whole(result))
        else:
            self._messages.append(result)

    def _take_text(self, part: Mapping[str, Any]) -> None:
        content = self._content()
        last = content[-1] if content else None
        if part["type"] == "text":
            if not isinstance(last, _Text):
                content.append(last := _Text([]))
        else:
            begun = part.get("created_at")
            if not isinstance(last, _Reasoning) or last.created_at != begun:
                content.append(last := _Reasoning([], begun))
        last.fragments.append(part["text"])

    def _take_call(self, part: Mapping[str, Any]) -> None:
        call = self._call(part["tool_call_id"], part["tool_name"])
        if "args_delta" in part:
            call.fragments.append(part["args_delta"])
        else:
            call.whole = ToolCallPart.model_validate(part)

    def _call(self, tool_call_id: str, tool_name: str) -> _Call:
        content = self._content()
        for item in content:
            if isinstance(item, _Call) and item.tool_call_id == tool_call_id:
                return item
        content.append(call := _Call(tool_call_id, tool_name))
        return call

    def drafts(self) -> Iterable[DraftMessage]:
        for message in self._messages:
            if isinstance(message, ToolResultPart):
                yield DraftMessage(role="tool", parts=(message,))
                continue
            parts = _answered(item.part(self._now) for item in message)
            if parts:
                yield DraftMessage(role="assistant", parts=parts)


def _answered(made: Iterable[Part | None]) -> tuple[Part, ...]:
    """Without calls that their vendor was still executing: none else can answer."""
    parts = [part for part in made if part is not None]
    results = {part.tool_call_id for part in parts if isinstance(part, ToolResultPart)}
    return tuple(
        part
        for part in parts
        if not isinstance(part, ToolCallPart)
        or not part.provider_executed
        or part.tool_call_id in results
    )


def partial(
    rows: Iterable[Mapping[str, Any]], *, now: datetime
) -> tuple[DraftMessage, ...]:
    """Messages from `{"role", "part"}` rows in order of their seq. `now`: the cut."""
    said = _Said(now)
    for data in rows:
        try:
            said.take(data)
        except (KeyError, TypeError, ValidationError):
            # a newer release may write parts that this one does not know
            continue
    return tuple(said.drafts())
