"""Which sort key puts a chat at the place that its owner wants."""

from __future__ import annotations

from uuid import NAMESPACE_OID, UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.pins import KEY_CHARS, sort_key

MOVES = st.lists(
    st.tuples(st.integers(0, 7), st.integers(1, 9)), min_size=1, max_size=40
)

Pins = list[tuple[UUID, str]]


def in_order(pins: Pins) -> Pins:
    return sorted(pins, key=lambda pin: (pin[1].encode(), pin[0]))


def moved(pins: Pins, chat: UUID, order: int) -> Pins:
    current = dict(pins).get(chat)
    key = sort_key(chat, current, order, pins)
    return in_order([pin for pin in pins if pin[0] != chat] + [(chat, key)])


@given(MOVES)
def test_each_move_leads_to_the_place_that_was_asked_for(
    moves: list[tuple[int, int]],
) -> None:
    pins: Pins = []
    expected: list[UUID] = []
    for number, order in moves:
        chat = UUID(int=number)
        pins = moved(pins, chat, order)
        if chat in expected:
            expected.remove(chat)
            expected.insert(order - 1, chat)
        else:
            expected.append(chat)
        assert [chat for chat, _ in pins] == expected


@given(
    st.lists(st.sampled_from("abc"), min_size=2, max_size=8),
    st.integers(0, 7),
    st.integers(1, 9),
)
def test_chats_that_tie_can_be_moved_too(keys: list[str], which: int, to: int) -> None:
    pins = in_order([(UUID(int=n), key) for n, key in enumerate(keys)])
    chat, _ = pins[which % len(pins)]
    assert len(moved(pins, chat, to)) == len(pins)


def test_a_place_that_it_has_is_its_key() -> None:
    pins = [(UUID(int=n), key) for n, key in enumerate("abc")]
    assert sort_key(UUID(int=1), "b", 2, pins) == "b"
    assert sort_key(UUID(int=2), "c", 99, pins) == "c"


def test_keys_end_somewhere() -> None:
    pins: Pins = [(UUID(int=n), key) for n, key in enumerate("abc")]
    for step in range(6000):
        # always the third one into the gap after the first
        pins = moved(pins, pins[2][0], 2)
        assert max(len(key) for _, key in pins) <= KEY_CHARS, step


@pytest.mark.parametrize("order", [1, 2, 9])
def test_a_chat_that_the_read_model_does_not_have_yet(order: int) -> None:
    pins = [(UUID(int=n), key) for n, key in enumerate("abc")]
    places = [chat for chat, _ in moved(pins, UUID(int=9), order)]
    assert places[-1] == UUID(int=9)


def test_chats_that_are_pinned_at_once_do_not_tie() -> None:
    standing: Pins = [(UUID(int=n), key) for n, key in enumerate("abc")]
    chats = [uuid5(NAMESPACE_OID, str(n)) for n in range(20)]
    # none of the requests sees the others
    pins = standing + [(chat, sort_key(chat, None, 1, standing)) for chat in chats]
    assert len({key for _, key in pins}) == len(pins)
    pins = in_order(pins)
    for place in range(1, len(pins) + 1):
        assert moved(pins, chats[7], place)[place - 1][0] == chats[7]
