"""Sort keys of pins: always room, always in the order of bytes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.chat.pins import DIGITS, key_between

MOVES = st.lists(st.integers(0, 10_000), min_size=1, max_size=60)


def test_digits_stand_in_the_order_of_their_bytes() -> None:
    assert sorted(DIGITS.encode()) == list(DIGITS.encode())


@given(MOVES)
def test_any_place_has_room(places: list[int]) -> None:
    keys = made_at(places)
    assert keys == sorted(set(keys), key=str.encode)
    assert "".join(keys).isascii()
    assert not any(key.endswith(DIGITS[0]) for key in keys)


@given(MOVES)
def test_a_key_made_between_two_is_strictly_between_them(
    places: list[int],
) -> None:
    keys = made_at(places)
    for low, high in pairwise([None, *keys, None]):
        key = key_between(low, high)
        assert low is None or low < key
        assert high is None or key < high


@given(MOVES, st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=40))
def test_moves_keep_the_pins_a_permutation_of_their_places(
    places: list[int], moves: list[tuple[int, int]]
) -> None:
    """A rank among the keys is dense, from 1 to n, whatever was moved where."""
    pins = dict(enumerate(made_at(places)))
    for which, where in moves:
        moved = which % len(pins)
        standing = sorted(key for pin, key in pins.items() if pin != moved)
        index = where % len(pins)
        before = standing[index - 1] if index else None
        after = standing[index] if standing[index:] else None
        pins[moved] = key_between(before, after)
        order = sorted(pins, key=lambda pin: pins[pin].encode())
        assert order.index(moved) == index
        assert len(set(pins.values())) == len(pins)


@pytest.mark.parametrize("index", [0, 1, -1], ids=["first", "second", "last"])
def test_keys_stay_short(index: int) -> None:
    keys = [key_between(None, None), key_between(key_between(None, None), None)]
    for _ in range(300):
        place = index if index >= 0 else len(keys)
        before = keys[place - 1] if place else None
        keys.insert(place, key_between(before, keys[place] if keys[place:] else None))
    assert keys == sorted(set(keys))
    assert max(map(len, keys)) <= (12 if index == -1 else 70)


def test_between_keys_that_tie_comes_what_is_above_both() -> None:
    tie = key_between(None, None)
    assert key_between(tie, tie) > tie
    above = key_between(tie, None)
    assert tie < key_between(tie, above) < above


def test_neighbours_in_the_wrong_order_count_as_the_end() -> None:
    low, high = key_between(None, None), key_between(key_between(None, None), None)
    assert key_between(high, low) == key_between(high, None) > high


def made_at(places: list[int]) -> list[str]:
    """Keys, each made at a place among those before it."""
    keys: list[str] = []
    for place in places:
        index = place % (len(keys) + 1)
        before = keys[index - 1] if index else None
        keys.insert(index, key_between(before, keys[index] if keys[index:] else None))
    return keys
