"""Old shapes arrive at the newest one; newer ones are not touched."""

from __future__ import annotations

from typing import get_args

import pytest

from service.domain.events.chat import ChatEvent
from service.domain.events.data import decode_data, encode_data
from service.domain.upcasters import CURRENT, EVENTS, STEPS, Data, Steps, upcast
from service.errors import FutureEvent
from tests.builders import turn_finished

# an invented past of one type: `cause` became `reason`, then `turn` became `turn_id`


def _reason(data: Data) -> Data:
    # a step may change what it is given: it is given a copy
    data["reason"] = data.pop("cause")
    return data


def _turn_id(data: Data) -> Data:
    return {"turn_id": data["turn"], "reason": data["reason"]}


PAST: Steps = {("turn_finished", 1): _reason, ("turn_finished", 2): _turn_id}
NOW_3 = {**CURRENT, "turn_finished": 3}


@pytest.mark.parametrize(
    ("version", "data"),
    [
        (1, {"turn": 2, "cause": "complete"}),
        (2, {"turn": 2, "reason": "complete"}),
        (3, {"turn_id": 2, "reason": "complete"}),
    ],
)
def test_steps_compose_to_the_newest_shape(version: int, data: Data) -> None:
    stored = dict(data)
    newest = upcast("turn_finished", version, data, steps=PAST, current=NOW_3)
    assert newest == {"turn_id": 2, "reason": "complete"}
    assert data == stored


@pytest.mark.parametrize(
    ("event_type", "version"), [("turn_finished", 2), ("chat_teleported", 1)]
)
def test_what_a_newer_release_wrote_is_from_the_future(
    event_type: str, version: int
) -> None:
    with pytest.raises(FutureEvent, match=event_type):
        decode_data(event_type, version, {})


def test_every_version_below_the_current_one_has_a_step() -> None:
    old = {(name, n) for name, newest in CURRENT.items() for n in range(1, newest)}
    assert set(STEPS) == old


def test_the_table_of_models_is_the_union() -> None:
    assert set(EVENTS.values()) == set(get_args(get_args(ChatEvent)[0]))
    assert set(CURRENT) == set(EVENTS)


def test_data_do_not_repeat_the_type() -> None:
    event = turn_finished()
    data = encode_data(event)
    assert "type" not in data
    assert decode_data("turn_finished", 1, data) == event
