"""The title that a chat has until somebody, or a model, gives it a better one."""

from __future__ import annotations

from collections.abc import Iterable

from service.domain.parts import Part, TextPart

MAX_WORDS = 6
MAX_CHARACTERS = 80
UNTITLED = "New Chat"
ELLIPSIS = "\u2026"


def fallback_title(parts: Iterable[Part]) -> str:
    """The first words of the text; never empty, at most 80 characters."""
    words = " ".join(part.text for part in parts if isinstance(part, TextPart)).split()
    title = " ".join(words[:MAX_WORDS])
    if len(words) > MAX_WORDS or len(title) > MAX_CHARACTERS:
        return title[: MAX_CHARACTERS - 1].rstrip() + ELLIPSIS
    return title or UNTITLED
