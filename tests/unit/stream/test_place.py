"""Ids of feeds: exact, opaque, and of one feed only."""

from __future__ import annotations

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.stream.cursor import MalformedCursor
from service.stream.place import (
    START,
    Kind,
    Place,
    format_place,
    parse_place,
    place_of,
)

DIGEST = bytes(range(32))
TOO_LARGE = base64.urlsafe_b64encode(
    struct.pack(">cQ4s", b"l", 2**63, DIGEST[:4])
).decode()


@given(
    st.sampled_from(["c", "l", "w"]),
    st.integers(0, 2**63 - 1),
    st.binary(min_size=4, max_size=4),
)
def test_what_is_written_is_read_back(kind: Kind, number: int, check: bytes) -> None:
    place = Place(number, check)
    assert parse_place(kind, format_place(kind, place)) == place


def test_the_id_shows_no_number() -> None:
    assert "1234567" not in format_place("l", place_of(1234567, DIGEST))


def test_zero_is_before_everything() -> None:
    assert parse_place("l", "0") == START


def test_an_id_of_another_feed_is_refused() -> None:
    with pytest.raises(MalformedCursor):
        parse_place("c", format_place("l", place_of(7, DIGEST)))


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "now", "x" * 17, "x" * 19, "!" * 18, "A" * 18,
        TOO_LARGE,
    ],
)  # fmt: skip
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(MalformedCursor):
        parse_place("l", text)


def test_a_place_knows_its_event_by_the_digest() -> None:
    place = place_of(7, DIGEST)
    assert place.is_at(7, DIGEST)
    assert not place.is_at(8, DIGEST)
    assert not place.is_at(7, bytes(32))
