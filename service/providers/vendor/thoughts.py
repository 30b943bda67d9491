"""Reasoning blocks, which get their signatures late.

A vendor that answers in items gives one thought as several parts of one id, and the
key to it when the last of them has begun: there a thought is open until something else
begins. `led` is the id of the thought that ended just now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic_ai.messages import ThinkingPart, ThinkingPartDelta

from service.providers.provider import BlockEnd, Delta, ReasoningDelta
from service.providers.vendor.marks import mark

SUMMARY_BREAK = "\n\n"
"""Between the parts of one thought."""


@dataclass(slots=True)
class _Thought:
    index: int
    after: str | None
    id: str | None
    signature: str | None
    details: dict[str, Any] | None
    lengths: list[int]
    """Of its parts, in characters."""


class Thoughts:
    """The reasoning of one stream."""

    def __init__(self, identity: str, *, items: bool) -> None:
        self._identity = identity
        self._items = items
        self._open: _Thought | None = None
        self.led: str | None = None

    def start(self, index: int, part: ThinkingPart) -> Iterator[Delta]:
        """Another part: of the thought that is open, or of a new one."""
        thought = self._open
        if thought is not None and self._items and part.id == thought.id:
            thought.lengths.append(len(part.content))
            yield ReasoningDelta(SUMMARY_BREAK + part.content)
            return
        yield from self.end()
        self._open = _Thought(
            index=index,
            after=self.led,
            id=part.id,
            signature=part.signature,
            details=part.provider_details,
            lengths=[len(part.content)],
        )
        # also without text: a signature alone must be kept
        yield ReasoningDelta(part.content)

    def more(self, index: int, delta: ThinkingPartDelta) -> Iterator[Delta]:
        """More text of the last part, or the signature of the first."""
        thought = self._open
        if thought is None:
            return
        if text := delta.content_delta:
            thought.lengths[-1] += len(text)
            yield ReasoningDelta(text)
        if index == thought.index and delta.signature_delta:
            thought.signature = delta.signature_delta

    def end_part(self, index: int, part: ThinkingPart) -> Iterator[Delta]:
        """The part is over; the thought too, unless there may be more of it."""
        thought = self._open
        if thought is not None and index == thought.index:
            thought.signature = part.signature
            thought.details = part.provider_details
        if not self._items:
            yield from self.end()

    def end(self) -> Iterator[Delta]:
        """The thought is over, if one is open."""
        thought, self._open = self._open, None
        if thought is None:
            return
        self.led = thought.id if self._items else None
        yield BlockEnd(
            mark(
                self._identity,
                after=thought.after,
                # which of its fields a vendor had used, or that it is redacted
                id=thought.id,
                signature=thought.signature,
                details=thought.details,
                lengths=thought.lengths if len(thought.lengths) > 1 else None,
            )
        )
