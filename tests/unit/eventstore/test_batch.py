"""What is refused before it meets neighbours, and how the rest is packed."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import BadEvent
from service.eventstore.batch import encode_request, parameters
from service.eventstore.packing import IntArray, PackedDumper, TextArray, pack_bytes
from service.eventstore.records import (
    AppendRequest,
    NewEvent,
    StreamAppend,
    StreamName,
)

CHAT = StreamName("chat", UUID(int=7))


def request(
    *events: NewEvent, key: str = "k", stream: StreamName = CHAT
) -> AppendRequest:
    return AppendRequest((StreamAppend(stream, 0, events),), key, b"")


def said(text: object) -> NewEvent:
    return NewEvent("said", 1, {"text": text})


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_exactly_nul_and_lone_surrogates_are_refused(text: str) -> None:
    bad = "\0" in text or any("\ud800" <= c <= "\udfff" for c in text)
    for event in (said(text), said({text: [1]}), NewEvent("e", 1, {}, {"a": text})):
        if bad:
            with pytest.raises(BadEvent):
                encode_request(request(event))
        else:
            encode_request(request(event))


@pytest.mark.parametrize("text", ["\\u0000", "\\\\u0000", "a\\u0000b\\"])
def test_the_letters_of_an_escape_are_only_letters(text: str) -> None:
    encode_request(request(said(text)))


@pytest.mark.parametrize("text", ["\0", "\\\0", "\\\\\0", "\\u0000\0"])
def test_a_nul_is_found_behind_any_number_of_backslashes(text: str) -> None:
    with pytest.raises(BadEvent):
        encode_request(request(said(text)))


@pytest.mark.parametrize(
    "bad",
    [
        AppendRequest((), "k", b""),
        request(),
        AppendRequest((StreamAppend(CHAT, 0, (said("a"),)),) * 2, "k", b""),
        request(said("a"), key="\0"),
        request(said("a"), stream=StreamName("\ud800", CHAT.stream_id)),
        request(said(object())),
        request(said({1: 2})),
        request(said(2**64)),
        request(NewEvent("said", 2**15, {})),
        AppendRequest((StreamAppend(CHAT, 2**31, (said("a"),)),), "k", b""),
    ],
)
def test_what_cannot_be_stored_is_refused(bad: AppendRequest) -> None:
    with pytest.raises(BadEvent):
        encode_request(bad)


def test_deep_nesting_is_refused() -> None:
    deep: object = "bottom"
    for _ in range(300):
        deep = [deep]
    with pytest.raises(BadEvent):
        encode_request(request(said(deep)))


def test_a_batch_counts_its_requests_and_streams() -> None:
    other = StreamName("chat", UUID(int=8))
    two = AppendRequest(
        (
            StreamAppend(CHAT, 1, (said("a"), said("b"))),
            StreamAppend(other, 0, (said("c"),)),
        ),
        "k",
        b"",
    )
    one = request(said("d"), stream=StreamName("chat", UUID(int=9)))
    arrays = parameters([encode_request(two), encode_request(one)])
    numbers = [[int.from_bytes(e[4:]) for e in arrays[n].elements] for n in (0, 3, 7)]
    assert numbers == [[1, 1, 2], [1, 0, 0], [1, 1, 2, 3]]
    assert [len(array.elements) for array in arrays] == [3] * 7 + [4] * 5


def test_arrays_have_the_binary_form_of_postgres() -> None:
    """Dimensions, nulls, oid of the elements, length, lower bound, elements."""
    packed = PackedDumper(TextArray).dump(TextArray([pack_bytes(b"ab")]))
    assert packed.hex(" ", -4) == (
        "00000001 00000000 00000019 00000001 00000001 00000002 6162"
    )
    empty = PackedDumper(IntArray).dump(IntArray([]))
    assert empty.hex(" ", -4) == "00000000 00000000 00000017"
