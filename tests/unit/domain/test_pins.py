"""Sort keys of pins: always room, always in the order of bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.chat.pins import DIGITS, key_between

MOVES = st.lists(st.integers(0, 10_000), min_size=1, max_size=60)


def test_digits_stand_in_the_order_of_their_bytes() -> None:
    assert sorted(DIGITS.encode()) == list(DIGITS.encode())


@given(MOVES)
def test_any_place_has_room(places: list[int]) -> None:
    keys: list[str] = []
    for place in places:
        index = place % (len(keys) + 1)
        before = keys[index - 1] if index else None
        keys.insert(index, key_between(before, keys[index] if keys[index:] else None))
    assert keys == sorted(set(keys), key=str.encode)
    assert not any(key.endswith(DIGITS[0]) for key in keys)


@pytest.mark.parametrize("index", [0, 1, -1], ids=["first", "second", "last"])
def test_keys_stay_short(index: int) -> None:
    keys = [key_between(None, None), key_between(key_between(None, None), None)]
    for _ in range(300):
        place = index if index >= 0 else len(keys)
        before = keys[place - 1] if place else None
        keys.insert(place, key_between(before, keys[place] if keys[place:] else None))
    assert keys == sorted(set(keys))
    assert max(map(len, keys)) <= (12 if index == -1 else 70)


def test_the_lower_key_comes_first() -> None:
    with pytest.raises(ValueError, match="below"):
        key_between("b", "b")
