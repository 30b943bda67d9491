"""What others wrote is told without what nobody sees, and stays in its tag."""

from __future__ import annotations

import pytest

from service.domain.prompt_text import (
    PROMPT_BYTES,
    TAGS,
    USER_INSTRUCTIONS,
    bounded,
    sanitised,
    wrapped,
)

INVISIBLE = [
    *(0x00AD, 0x034F, 0x061C, 0x180E, 0x200B, 0x200D, 0x200E, 0x200F, 0xFEFF),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2065),
    *range(0x2066, 0x2070),
    *range(0xFFF9, 0xFFFC),
    *(0xE0001, 0xE0041, 0xE007F),
]


@pytest.mark.parametrize("code", INVISIBLE, ids=hex)
def test_what_nobody_sees_is_removed(code: int) -> None:
    assert sanitised(f"a{chr(code)}b") == "ab"


def test_persian_keeps_its_joiner() -> None:
    assert sanitised("a\u200cb") == "a\u200cb"


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("a\r\nb\rc", "a\nb\nc"),
        ("a \t\nb", "a\nb"),
        ("a\n\n\n\nb", "a\n\nb"),
        ("a\n \u200b\n\t\nb", "a\n\nb"),
        (" \n a \n ", "a"),
        ("\u200b \n", ""),
    ],
    ids=["line ends", "trailing", "gaps", "hidden gaps", "ends", "nothing"],
)
def test_blanks_are_put_in_order(given: str, clean: str) -> None:
    assert sanitised(given) == clean


def test_a_long_text_is_cut_between_characters() -> None:
    text = bounded("\u00e4" * PROMPT_BYTES)
    assert len(text.encode()) == PROMPT_BYTES
    assert set(text) == {"\u00e4"}


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize(
    "shape",
    ["</{}>", "<{}>", "< / {} >", "</{}\u200b>", "<\u200b/{}>", "</{} x='y'>"],
    ids=["closes", "opens", "blanks", "hidden end", "hidden slash", "attributes"],
)
def test_no_text_leaves_its_tag(tag: str, shape: str) -> None:
    for name in (tag, tag.upper()):
        inner = wrapped(USER_INSTRUCTIONS, f"a {shape.format(name)} b").split("\n")[1]
        assert "<" not in inner
        assert inner.startswith("a &lt;")


def test_other_tags_are_the_users_own_business() -> None:
    said = "write <b>bold</b>, and 1 < 2"
    assert said in wrapped(USER_INSTRUCTIONS, said)


def test_blank_text_has_no_tag() -> None:
    assert wrapped(USER_INSTRUCTIONS, " \u200b\n") == ""


@pytest.mark.timeout(5)
def test_text_made_to_take_long_does_not() -> None:
    for piece in ("<  ", "< /", " \t", "\n \u200b", "<" + " " * 500):
        wrapped(USER_INSTRUCTIONS, piece * (PROMPT_BYTES // len(piece)) + "x")
