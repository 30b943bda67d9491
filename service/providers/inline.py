"""Reasoning that a model writes into its text, between tags at the very beginning.

Local servers that know nothing of reasoning pass it on so. Tags may be split anywhere;
what could still become one is held back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

OPEN = "<think>"
CLOSE = "</think>"

_State = Literal["before", "opened", "within", "closed", "text"]

Piece = tuple[Literal["text", "reasoning"], str]


class InlineReasoning:
    """One block of text, as it comes."""

    def __init__(self) -> None:
        self._held = ""
        self._state: _State = "before"

    def take(self, text: str) -> Iterator[Piece]:
        """Pieces of reasoning and of text; none of them empty."""
        self._held += text
        if self._state == "before":
            self._begin()
        if self._state == "opened":
            self._skip_blank("within")
        if self._state == "within":
            yield from self._within()
        if self._state == "closed":
            self._skip_blank("text")
        if self._state == "text" and self._held:
            yield "text", self._held
            self._held = ""

    def end(self) -> Iterator[Piece]:
        """What was held back: no tag came of it."""
        held, self._held = self._held, ""
        if held:
            yield ("reasoning" if self._state == "within" else "text"), held

    def _begin(self) -> None:
        begun = self._held.lstrip()
        if begun.startswith(OPEN):
            self._state, self._held = "opened", begun.removeprefix(OPEN)
        elif not OPEN.startswith(begun):
            self._state = "text"

    def _skip_blank(self, then: _State) -> None:
        """The blank lines around reasoning belong to nothing."""
        self._held = self._held.lstrip()
        if self._held:
            self._state = then

    def _within(self) -> Iterator[Piece]:
        reasoning, tag, rest = self._held.partition(CLOSE)
        if tag:
            self._state, self._held = "closed", rest
        else:
            reasoning, self._held = _before_tag(self._held)
        if reasoning:
            yield "reasoning", reasoning


def _before_tag(text: str) -> tuple[str, str]:
    """Split off an end that may be the beginning of the closing tag."""
    for length in range(min(len(CLOSE) - 1, len(text)), 0, -1):
        if CLOSE.startswith(text[-length:]):
            return text[:-length], text[-length:]
    return text, ""
