"""Reasoning between tags: where it begins and ends, however the text is cut."""

from __future__ import annotations

import pytest

from service.providers.inline import InlineReasoning


def pieces(text: str, size: int) -> tuple[str, str]:
    """All reasoning and all text, when it comes in pieces of this size."""
    inline = InlineReasoning()
    got = []
    for start in range(0, len(text), size):
        got += list(inline.take(text[start : start + size]))
    got += list(inline.end())
    assert all(piece for _, piece in got)
    reasoning = "".join(piece for kind, piece in got if kind == "reasoning")
    return reasoning, "".join(piece for kind, piece in got if kind == "text")


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize(
    ("text", "reasoning", "rest"),
    [
        ("<think>hm</think>\n\nso it is", "hm", "so it is"),
        ("\n<think>\na < b </thin</think>yes", "a < b </thin", "yes"),
        ("<think></think>\n\nyes", "", "yes"),
        ("so it is", "", "so it is"),
        ("  so", "", "  so"),
        ("a <think>b</think>", "", "a <think>b</think>"),
        ("<thin air", "", "<thin air"),
        ("<thi", "", "<thi"),
        ("<think>never ends", "never ends", ""),
        ("<think>never ends </thi", "never ends </thi", ""),
        ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
    ],
)
def test_tags_at_the_beginning(text: str, reasoning: str, rest: str, size: int) -> None:
    assert pieces(text, size) == (reasoning, rest)


def test_pieces_come_as_soon_as_they_can() -> None:
    inline = InlineReasoning()
    assert list(inline.take("<think>one")) == [("reasoning", "one")]
    assert list(inline.take(" two <")) == [("reasoning", " two ")]
    assert list(inline.take("3")) == [("reasoning", "<3")]
    assert list(inline.take("</think>")) == []
    assert list(inline.take("so")) == [("text", "so")]
