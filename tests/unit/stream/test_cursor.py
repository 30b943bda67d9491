"""The `id` of a frame and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.live.read import PartCursor
from service.stream.cursor import Cursor, MalformedCursor, parse_cursor

numbers = st.integers(min_value=1, max_value=2**31 - 1)
cursors = st.builds(
    Cursor,
    st.integers(min_value=0, max_value=2**31 - 1),
    st.integers(min_value=0, max_value=9999),
    st.none() | st.builds(PartCursor, numbers, numbers, numbers),
    st.none() | st.from_regex(r"\A[0-9a-f]{8}\Z"),
)


@given(cursors)
def test_cursor_reads_back_what_it_wrote(cursor: Cursor) -> None:
    assert parse_cursor(str(cursor)) == cursor


def test_cursor_has_the_documented_forms() -> None:
    part = PartCursor(3, 1, 2)
    assert str(Cursor(7)) == "7"
    assert str(Cursor(7, 0, None, "0a1b2c3d")) == "7~0a1b2c3d"
    assert str(Cursor(7, 2, None, "0a1b2c3d")) == "7+2~0a1b2c3d"
    assert str(Cursor(7, 0, part, "0a1b2c3d")) == "7/3.1.2~0a1b2c3d"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "x", "-1", "7~", "7~xyz", "7~0A1B2C3D", "7/3.1", "7/3.1.2.4", "7+",
        "+1", "7 ", " 7", "7\n", "9999999999", "7/9999999999.1.1", "\u0667", "1e3",
        "0x1", "7" * 100, "now ", "7~0a1b2c3d0",
    ],
)  # fmt: skip
def test_cursor_that_is_none_is_malformed(text: str) -> None:
    with pytest.raises(MalformedCursor):
        parse_cursor(text)


@given(st.text(max_size=40))
def test_cursor_parsing_never_fails_otherwise(text: str) -> None:
    try:
        cursor = parse_cursor(text)
    except MalformedCursor:
        return
    assert parse_cursor(str(cursor)) == cursor
