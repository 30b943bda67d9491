"""When a chat is given a title by itself."""

from __future__ import annotations

from uuid import UUID

import pytest

from service.agent.naming import TURNS, wants_title
from service.domain.events.chat import ChatEvent
from tests.builders import (
    a_chat,
    a_turn,
    acquired,
    an_answer,
    an_idle_chat,
    assistant,
    attempt,
    committed,
    created,
    retry_scheduled,
    state_of,
    title_changed,
    turn_finished,
    user,
)

ROOT = UUID(int=0xA)


def a_turn_more(begun: list[ChatEvent]) -> list[ChatEvent]:
    """Another whole turn."""
    asked = len(begun) + 1
    return [
        *begun,
        user(),
        attempt(asked),
        assistant(epoch=asked, attempt=1),
        committed(asked),
        turn_finished(asked),
    ]


def test_a_turn_that_has_just_begun_does() -> None:
    assert wants_title(state_of(*a_chat()))
    assert wants_title(state_of(*a_chat(), acquired()))


def test_only_the_first_turns_do() -> None:
    events = an_idle_chat()
    for turn in range(2, TURNS + 2):
        assert wants_title(state_of(*events, user())) == (turn <= TURNS)
        events = a_turn_more(events)


@pytest.mark.parametrize(
    "events",
    [
        a_turn(),
        [*a_turn(), retry_scheduled(2)],
        an_answer(),
        an_idle_chat(),
        [*a_chat(), title_changed()],
        [created(parent_chat_id=ROOT, root_chat_id=ROOT), user()],
        [],
    ],
    ids=["asked", "retried", "answered", "at rest", "named", "child", "nothing"],
)
def test_any_other_chat_does_not(events: list[ChatEvent]) -> None:
    assert not wants_title(state_of(*events))
