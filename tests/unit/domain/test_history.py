"""A history shares its list with its successors, and nobody notices."""

from __future__ import annotations

import pytest

from service.domain.chat.state import History, Message
from tests.builders import NOW, text


def message(number: int) -> Message:
    return Message(number, "user", "both", (text(str(number)),), NOW)


def history(length: int) -> History:
    grown = History()
    for number in range(length):
        grown = grown.append(message(number))
    return grown


def ids(of: History) -> list[int]:
    return [item.id for item in of]


def test_two_successors_of_one_history_part_ways() -> None:
    root = history(2)
    left, right = root.append(message(10)), root.append(message(20))
    assert ids(root) == [0, 1]
    assert ids(left.append(message(11))) == [0, 1, 10, 11]
    assert ids(right.append(message(21))) == [0, 1, 20, 21]
    assert ids(left) == [0, 1, 10]


def test_growing_after_a_cut_leaves_the_uncut_history_alone() -> None:
    whole = history(4)
    cut = whole.truncate(2)
    assert ids(cut.append(message(9))) == [0, 1, 9]
    assert ids(whole) == [0, 1, 2, 3]
    assert ids(whole.truncate(9)) == [0, 1, 2, 3]


def test_it_is_a_sequence_of_its_own_length() -> None:
    whole = history(4)
    short = whole.truncate(3)
    assert len(short) == 3
    assert short[-1].id == short[2].id == 2
    assert [item.id for item in short[1:]] == [1, 2]
    assert [item.id for item in short[::-1]] == [2, 1, 0]
    for outside in (3, -4):
        with pytest.raises(IndexError):
            short[outside]


def test_histories_are_equal_when_their_messages_are() -> None:
    assert history(3) == history(3) == history(4).truncate(3)
    assert history(3) != history(4)
    assert history(0) != []
