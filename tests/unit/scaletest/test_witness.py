"""A witness finds what a whole stream would not have, and nothing in a whole one."""

from __future__ import annotations

from typing import Any

import pytest

from service.client.shapes import Frame
from service.scaletest.witness import Witness


def frame(id_: str, name: str, version: int, **data: Any) -> Frame:
    return Frame(id_, name, {"version": version} | data)


def message(id_: int, text: str, role: str = "assistant", **data: Any) -> Frame:
    content = [{"type": "text", "text": text}]
    said = {"id": id_, "role": role, "content": content}
    return frame(f"{id_}", "message", id_, message=said, **data)


def part(seq: int, text: str, attempt: int = 1) -> Frame:
    return frame(
        f"3/2.{attempt}.{seq}", "message_part", 3, epoch=2, attempt=attempt, seq=seq,
        role="assistant", part={"type": "text", "text": text},
    )  # fmt: skip


ENDED = frame("5", "turn_finished", 5, turn_id=2, outcome="finished")
REPLACES = {"replaces": {"epoch": 2, "attempt": 1}}
WHOLE = [
    message(2, "hi", "user"),
    frame("3", "status", 3, status="running"),
    part(1, "Hel"),
    part(2, "lo"),
    Frame("3/2.1.2", "caught_up", {}),
    message(4, "Hello you", **REPLACES),
    ENDED,
]


def faults(*frames: Frame) -> list[str]:
    witness = Witness()
    for one in frames:
        witness.apply(one)
    return witness.faults


def test_a_whole_stream_has_no_faults() -> None:
    assert faults(*WHOLE) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        pytest.param(lambda w: [*w[:6], w[5], *w[6:]], "message 4 came", id="twice"),
        pytest.param(lambda w: [w[5], w[0]], "message 2 came after 4", id="order"),
        pytest.param(lambda w: w[:2] + w[3:], "a part was lost", id="part_lost"),
        pytest.param(lambda w: [*w[:3], w[2]], "came twice", id="part_twice"),
        pytest.param(lambda w: [*w, w[6]], "turn 2 ended twice", id="turn_twice"),
        pytest.param(
            lambda w: [*w[:5], message(4, "Goodbye", **REPLACES)],
            "message 4 is not what was said",
            id="other_words",
        ),
        pytest.param(
            lambda w: [*w, frame("9", "status", 4, status="waiting")],
            "of version 4 came after 5",
            id="version",
        ),
        pytest.param(
            lambda w: [*w[:4], part(3, "x", attempt=2)], "another attempt", id="attempt"
        ),
    ],
)
def test_a_fault_is_found(change: Any, found: str) -> None:
    told = "; ".join(faults(*change(WHOLE)))
    assert all(word in told for word in found.split())


def test_messages_that_an_edit_took_back_are_not_missed() -> None:
    witness = Witness()
    for one in (
        message(2, "hi", "user"),
        message(4, "Hello"),
        frame("5", "history_truncated", 5, from_id=2),
        message(6, "hi again", "user"),
    ):
        witness.apply(one)
    assert (list(witness.seen), witness.faults) == ([6], [])
