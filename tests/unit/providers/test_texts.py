"""Texts as every vendor takes them, and results as texts."""

from __future__ import annotations

from typing import Any

import pytest

from service.providers.texts import clean, clean_json, fenced, told


@pytest.mark.parametrize(
    ("result", "is_error", "text"),
    [
        ("noon", False, "noon"),
        ({"now": "noon"}, False, '{"now":"noon"}'),
        ({"error": "broken"}, True, "broken"),
        ({"error": {"code": 1}}, True, '{"code":1}'),
        ({"why": "x"}, True, '{"why":"x"}'),
        ({"error": "no error"}, False, '{"error":"no error"}'),
        (None, False, "{}"),
        ("", False, "{}"),
        (0, False, "0"),
        ({"a\0": ["\ud800"]}, False, '{"a\ufffd":["\ufffd"]}'),
    ],
    ids=range(10),
)
def test_results_as_text(result: Any, is_error: bool, text: str) -> None:
    assert told(result, is_error=is_error) == text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain", "plain"),
        ("ключ 🌊", "ключ 🌊"),
        ("a\0b", "a\ufffdb"),
        ("é\0", "é\ufffd"),
        ("a\ud800b", "a\ufffdb"),
        ("\ud83c\udf0a", "🌊"),
    ],
    ids=range(6),
)
def test_what_nobody_takes_is_replaced(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned
    assert clean_json({text: [text, 1, None]}) == {cleaned: [cleaned, 1, None]}


def test_text_that_is_fine_is_not_copied() -> None:
    text = "ключ" * 1000
    assert clean(text) is text


@pytest.mark.parametrize("text", ["x", "```", "a ````` b", "`"])
def test_no_text_closes_its_fence(text: str) -> None:
    fence, *_, last = fenced(text).split("\n")
    assert fence == last
    assert fence not in text
