"""The fold of what is about a chat: names, pins, what was read, forks."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.domain.chat.evolve import MOVING, evolve, fold
from service.domain.chat.state import (
    Status,
)
from service.domain.events.chat import ChatEvent, Origin
from tests.builders import (
    CHAT,
    CHILD,
    NOW,
    OWNER,
    a_chat,
    a_request,
    an_idle_chat,
    assistant,
    chat_archived,
    chat_unarchived,
    child_spawned,
    forked,
    labels_changed,
    model_changed,
    pinned,
    plan_mode_changed,
    queued,
    read_cursor_moved,
    servers_changed,
    state_of,
    title_changed,
    tool,
    truncated,
    unpinned,
    user,
    workspace_bound,
)

METADATA: list[ChatEvent] = [
    title_changed(),
    labels_changed(k="v"),
    pinned(),
    unpinned(),
    plan_mode_changed(),
    workspace_bound(OWNER),
    model_changed(OWNER),
    servers_changed(OWNER),
    chat_archived(),
    chat_unarchived(),
    read_cursor_moved(5),
    child_spawned(),
]

TURN = ("status", "turn_id", "epoch", "attempt", "episode", "action", "holder", "queue")
"""What is of a turn in a state."""


@pytest.mark.parametrize("event", METADATA, ids=lambda event: event.type)
def test_what_is_about_a_chat_leaves_its_turn_and_its_place_in_the_list(
    event: ChatEvent,
) -> None:
    before = state_of(*a_request(), queued())
    late = event.model_copy(update={"at": NOW + timedelta(hours=1)})
    after = evolve(before, late)
    for name in TURN:
        assert getattr(after, name) == getattr(before, name), name
    moves = isinstance(event, MOVING)
    assert (after.updated_at != before.updated_at) is moves


def test_names_and_settings_are_those_of_the_latest_event() -> None:
    state = state_of(
        *a_chat(),
        title_changed("noon"),
        labels_changed(k="v"),
        plan_mode_changed("plan"),
        workspace_bound(OWNER),
        model_changed(CHILD),
        servers_changed(OWNER, CHILD),
    )
    assert (state.title, state.title_source) == ("noon", "user")
    assert state.labels == {"k": "v"}
    assert state.plan_mode == "plan"
    assert (state.workspace_id, state.model_config_id) == (OWNER, CHILD)
    assert state.mcp_server_ids == (OWNER, CHILD)
    cleared = fold(
        state,
        [labels_changed(), plan_mode_changed(""), workspace_bound(None)],
    )
    assert (cleared.labels, cleared.plan_mode, cleared.workspace_id) == ({}, "", None)
    cleared = fold(cleared, [model_changed(None), servers_changed()])
    assert (cleared.model_config_id, cleared.mcp_server_ids) == (None, ())


def test_a_pin_has_the_latest_key_until_it_is_none() -> None:
    state = state_of(*a_chat(), pinned("m"), pinned("t"))
    assert state.pin_key == "t"
    assert evolve(state, unpinned()).pin_key is None


def test_archiving_ends_a_pin_and_unarchiving_does_not_bring_it_back() -> None:
    state = state_of(*an_idle_chat(), pinned("m"), chat_archived())
    assert (state.archived, state.pin_key) == (True, None)
    state = evolve(state, chat_unarchived())
    assert (state.archived, state.pin_key) == (False, None)


def test_the_first_answer_after_what_was_seen_is_the_first_unread() -> None:
    state = state_of(*a_chat())
    assert (state.read_up_to, state.first_unread) == (0, None)
    state = fold(state, [assistant(visibility="model"), tool(), assistant()])
    assert state.first_unread == 5
    assert evolve(state, assistant()).first_unread == 5
    state = evolve(state, read_cursor_moved(5))
    assert (state.read_up_to, state.first_unread) == (5, None)
    assert evolve(state, assistant()).first_unread == 7


def test_an_answer_that_was_taken_back_is_not_unread() -> None:
    state = state_of(*a_chat(), assistant(), truncated(2), user("again"))
    assert state.first_unread is None
    assert evolve(state, assistant()).first_unread == 6


def test_an_answer_before_the_cut_stays_unread() -> None:
    state = state_of(*a_chat(), assistant(), user("more"), assistant(), truncated(4))
    assert state.first_unread == 3


def test_what_was_seen_stays_seen_when_it_is_taken_back() -> None:
    seen = [*a_chat(), assistant(), read_cursor_moved(3), truncated(2), user("again")]
    assert state_of(*seen).read_up_to == 3
    assert state_of(*seen, assistant()).first_unread == 7


def test_a_fork_stands_outside_of_the_family_and_of_all_that_runs() -> None:
    busy = [*a_request(), queued(), child_spawned(), pinned(), forked(10)]
    state = state_of(*busy)
    assert (state.status, state.archived, state.queue) == (Status.WAITING, False, ())
    assert (state.children, state.pin_key, state.holder) == ((), None, None)
    assert (state.action, state.turn_id, state.epoch) == (None, None, 11)
    assert (state.read_up_to, state.first_unread) == (10, None)
    assert state.origin == Origin(chat_id=CHAT, version=10)


def test_a_fork_keeps_what_was_said_and_how_it_is_set_up() -> None:
    busy = state_of(*a_request(), title_changed("noon"), plan_mode_changed())
    state = evolve(busy, forked(9))
    assert state.messages == busy.messages
    assert state.client_tools == busy.client_tools
    assert (state.title, state.plan_mode) == ("noon", "plan")
