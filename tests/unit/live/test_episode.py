"""Rows of an episode: joined while they wait, unchangeable once they have a place."""

from __future__ import annotations

from typing import Any

from service import wire
from service.live.episode import ROW_BYTES, Episode
from tests.builders import CHAT

LOTS = 1 << 20


def episode(capacity: int = LOTS) -> Episode:
    return Episode(CHAT, 2, 1, capacity=capacity)


def say(to: Episode, *texts: str) -> None:
    for text in texts:
        to.add("assistant", {"type": "text", "text": text})


def rows(of: Episode, max_bytes: int = LOTS) -> tuple[int, list[Any]]:
    first, encoded = of.unacknowledged(max_bytes=max_bytes)
    return first, [wire.loads(row) for row in encoded]


def texts(of: Episode) -> list[str]:
    return [row["part"]["text"] for row in rows(of)[1]]


def test_deltas_that_wait_together_become_one_row() -> None:
    said = episode()
    say(said, "1", " 2", " 3")
    assert rows(said) == (
        1,
        [{"role": "assistant", "part": {"type": "text", "text": "1 2 3"}}],
    )


def test_a_row_with_a_place_does_not_change() -> None:
    said = episode()
    say(said, "1")
    before = rows(said)
    say(said, " 2")
    first, both = rows(said)
    assert (first, both[:1]) == before
    assert len(both) == 2


def test_acknowledged_rows_are_not_sent_again() -> None:
    said = episode()
    say(said, "1")
    rows(said)
    said.acknowledge(1, 1)
    assert said.clean
    say(said, " 2")
    assert not said.clean
    assert rows(said)[0] == 2


def test_starting_over_sends_every_row_with_its_seq() -> None:
    said = episode()
    for text in ("1", " 2"):
        say(said, text)
        rows(said)
    said.acknowledge(1, 2)
    said.start_over()
    assert not said.clean
    assert rows(said)[0] == 1
    assert texts(said) == ["1", " 2"]


def test_an_acknowledgement_from_before_a_new_start_is_ignored() -> None:
    said = episode()
    say(said, "1")
    rows(said)
    said.acknowledge(1, 1)
    say(said, " 2")
    rows(said)
    said.start_over()
    said.acknowledge(2, 1)
    assert rows(said)[0] == 1


def test_other_parts_begin_a_row() -> None:
    said = episode()
    say(said, "a")
    said.add("assistant", {"type": "reasoning", "text": "b", "created_at": "t1"})
    said.add("assistant", {"type": "reasoning", "text": "c", "created_at": "t1"})
    said.add("assistant", {"type": "reasoning", "text": "d", "created_at": "t2"})
    say(said, "e")
    assert texts(said) == ["a", "bc", "d", "e"]


def test_argument_deltas_join_by_call() -> None:
    def typed(call_id: str, delta: str) -> dict[str, Any]:
        return {
            "type": "tool-call",
            "tool_call_id": call_id,
            "tool_name": "clock",
            "args_delta": delta,
        }

    said = episode()
    for call_id, delta in [("a", "{"), ("a", "}"), ("b", "[]")]:
        said.add("assistant", typed(call_id, delta))
    said.add("assistant", {"type": "tool-call", "tool_call_id": "b", "args": []})
    joined = [row["part"].get("args_delta") for row in rows(said)[1]]
    assert joined == ["{}", "[]", None]


def test_roles_do_not_join() -> None:
    said = episode()
    say(said, "a")
    said.add("tool", {"type": "text", "text": "b"})
    assert texts(said) == ["a", "b"]


def test_a_row_does_not_grow_for_ever() -> None:
    said = episode()
    say(said, *["x" * 1024] * 64)
    assert len(texts(said)) == 4
    assert all(len(text) <= ROW_BYTES + 1024 for text in texts(said))


def test_parts_beyond_the_capacity_are_dropped_and_counted() -> None:
    said = episode(capacity=1000)
    say(said, "x" * 900, "y" * 900, "z")
    assert said.dropped == 2
    assert texts(said) == ["x" * 900], "and nothing after the first: no hole inside"


def test_the_capacity_is_of_json_not_of_characters() -> None:
    said = episode(capacity=1000)
    say(said, "\u00e9" * 600)
    assert said.dropped == 1


def test_a_flush_takes_as_much_as_it_may_and_at_least_one_row() -> None:
    said = episode()
    for text in ("a" * 500, "b" * 500, "c" * 500):
        say(said, text)
        said.unacknowledged(max_bytes=LOTS)
    assert len(rows(said, max_bytes=1)[1]) == 1
    assert len(rows(said, max_bytes=800)[1]) == 2
