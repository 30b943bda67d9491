"""Copies of states are those that dataclasses.replace makes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from service.domain.chat.copies import amend, replace
from service.domain.chat.evolve import evolve
from service.domain.chat.state import ChatState, Status
from service.domain.events.turn import InterruptRequested
from tests import builders as b


def test_a_copy_differs_in_what_was_changed_alone() -> None:
    before = ChatState(version=3, title="locks", labels={"a": "b"})

    copy = replace(before, version=4, status=Status.RUNNING)

    assert copy == dataclasses.replace(before, version=4, status=Status.RUNNING)
    assert before == ChatState(version=3, title="locks", labels={"a": "b"})


def test_a_field_that_does_not_exist_is_refused() -> None:
    changes: dict[str, Any] = {"titel": "locks"}
    with pytest.raises(KeyError):
        replace(ChatState(), **changes)
    with pytest.raises(KeyError):
        amend(ChatState(), **changes)


def test_an_event_leaves_the_state_before_it_alone() -> None:
    before = evolve(ChatState(), b.created())
    kept = dataclasses.replace(before)

    # a waiting chat has nothing to interrupt: evolve gets the very state back
    ignored = InterruptRequested(at=b.user("what").at, actor="user:1")
    for event in (b.user("what"), ignored, None):
        evolve(before, event)

    assert before == kept
