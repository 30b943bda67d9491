"""The lag case: how far behind a checkpoint is, by what the writer knows."""

from __future__ import annotations

from itertools import islice

import pytest

from scripts.benchmarks.cases.lag import EVENTS, WRITERS, Lag, Run, Written, _slots


def test_a_checkpoint_is_behind_by_the_first_event_that_it_lacks() -> None:
    written = Written(positions=[3, 5, 9], times=[10.0, 11.0, 12.0])
    assert written.behind(9, now=13.0) == (0, 0.0)
    assert written.behind(12, now=13.0) == (0, 0.0)
    assert written.behind(5, now=13.0) == (4, 1_000.0)
    assert written.behind(4, now=13.0) == (5, 2_000.0)
    assert written.behind(0, now=13.0) == (9, 3_000.0)


def test_answers_out_of_order_move_nothing_back() -> None:
    written = Written()
    for position in (2, 1, 4, 3):
        written.committed(position)
    assert written.positions == [2, 4]
    assert written.events == 4


def test_writers_take_turns_at_the_pace() -> None:
    first, second = (list(islice(_slots(1.0, n, pace=500.0), 3)) for n in (0, 1))
    assert first == pytest.approx([1.0, 1.5, 2.0])
    assert second[0] == pytest.approx(1.0 + 1 / 500)
    assert pytest.approx(500.0) == WRITERS / (first[1] - first[0])


def test_a_pace_is_kept_by_the_writer_and_by_every_projection() -> None:
    quick, slow = Lag([1], [10.0]), Lag([9000], [1_500.0])
    assert Run(5_000, 4_999.0, {"chats": quick}).kept_up
    assert not Run(5_000, 4_000.0, {"chats": quick}).kept_up
    assert not Run(5_000, 4_999.0, {"chats": quick, "queue": slow}).kept_up


def test_a_chat_of_the_writer_is_whole_turns() -> None:
    types = [event.type for event in EVENTS]
    assert types[0] == "chat_created"
    assert types[1:].count("turn_finished") == 10
    assert types[-1] == "turn_finished"
