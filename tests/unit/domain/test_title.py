"""The fallback title."""

from __future__ import annotations

import pytest

from service.domain.chat.title import ELLIPSIS, MAX_CHARACTERS, fallback_title
from service.domain.parts import FileReferencePart, Part, TextPart

FILE = FileReferencePart(file_name="a.py", start_line=1, end_line=2, content="x = 1")


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("hello", "hello"),
        ("one two three four five six", "one two three four five six"),
        ("one two three four five six seven", f"one two three four five six{ELLIPSIS}"),
        ("  spaces \n and\tlines ", "spaces and lines"),
        ("", "New Chat"),
        (" \n ", "New Chat"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 79 + ELLIPSIS),
        ("\u00e9" * 200 + " b", "\u00e9" * 79 + ELLIPSIS),
        ("a " + "x" * 77 + " b", "a " + "x" * 77 + ELLIPSIS),
        ("a " + "x" * 76 + " b c d e f", "a " + "x" * 76 + ELLIPSIS),
    ],
)
def test_title_is_the_first_words(said: str, title: str) -> None:
    assert fallback_title([TextPart(text=said)]) == title
    assert len(title) <= MAX_CHARACTERS


def test_title_comes_from_text_only() -> None:
    assert fallback_title([FILE]) == fallback_title([]) == "New Chat"
    parts: list[Part] = [FILE, TextPart(text="look at"), FILE, TextPart(text="this")]
    assert fallback_title(parts) == "look at this"
