"""The fold: counters, clocks, and events that come where nobody expects them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.domain.chat.evolve import evolve, fold
from service.domain.chat.state import ChatState, Message, Status
from service.domain.events.chat import ChatEvent
from tests.builders import (
    NOW,
    OWNER,
    a_chat,
    a_turn,
    abandoned,
    acquired,
    an_answer,
    an_idle_chat,
    assistant,
    attempt,
    committed,
    created,
    interrupt_requested,
    parked,
    queued,
    state_of,
    text,
    turn_failed,
    user,
)


def test_version_counts_every_event_also_erased_ones() -> None:
    assert state_of(*a_chat(), None, assistant()).version == 4
    assert state_of(None, None) == ChatState(version=2)


def test_ids_of_messages_are_versions() -> None:
    state = state_of(*a_chat(), None, assistant("hi", epoch=2, attempt=1))
    assert state.messages[1] == Message(
        id=4,
        role="assistant",
        visibility="both",
        parts=(text("hi"),),
        created_at=NOW,
        replaces=(2, 1),
    )


def test_times_are_those_of_the_first_and_the_latest_event() -> None:
    later = user().model_copy(update={"at": NOW + timedelta(seconds=2)})
    behind = assistant().model_copy(update={"at": NOW - timedelta(seconds=9)})
    state = state_of(created(), later, behind)
    assert state.created_at == NOW
    assert state.updated_at == NOW + timedelta(seconds=2)


def test_a_message_grants_an_epoch_and_attempts_begin_again() -> None:
    state = state_of(*a_turn())
    assert (state.epoch, state.attempt) == (2, 1)
    state = evolve(state, assistant())
    assert (state.epoch, state.attempt) == (5, 0)


@pytest.mark.parametrize(
    "event",
    [queued(), acquired(2), abandoned(), committed(2), interrupt_requested()],
    ids=lambda event: event.type,
)
def test_what_is_no_message_leaves_the_epoch(event: ChatEvent) -> None:
    assert evolve(state_of(*a_turn()), event).epoch == 2


@pytest.mark.parametrize(
    ("event", "open_after"),
    [
        (committed(2), False),
        (turn_failed(), False),
        (acquired(2), True),
        (abandoned(), True),
        (queued(), True),
        (interrupt_requested(), True),
        (assistant(), True),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
def test_what_closes_an_episode(event: ChatEvent, open_after: bool) -> None:
    episode = evolve(state_of(*a_turn()), event).episode
    assert (episode is not None) is open_after


def test_a_new_attempt_takes_the_place_of_the_open_one() -> None:
    episode = state_of(*a_turn(), attempt(2, 2)).episode
    assert episode is not None
    assert (episode.attempt, episode.version) == (2, 5)


def test_a_message_that_only_the_model_sees_begins_no_turn() -> None:
    state = evolve(state_of(*an_idle_chat()), user(visibility="model"))
    assert state.status is Status.WAITING
    assert state.turn_id is None


def test_promotion_takes_the_item_out_of_the_queue() -> None:
    state = state_of(*a_turn(), queued("a"), queued("b"), user("b", queued_id=6))
    assert [item.id for item in state.queue] == [5]
    assert state.messages[-1].queued_id == 6


def test_terms_only_grow() -> None:
    state = state_of(*a_chat(), acquired(7), acquired(3, "w2"))
    assert state.term == 7


def test_an_interrupt_of_a_chat_that_awaits_its_client_lets_it_run() -> None:
    assert evolve(parked(*an_answer()), interrupt_requested()).status is Status.RUNNING


def test_leaving_an_error_clears_it() -> None:
    failed = state_of(*a_turn(), turn_failed())
    assert evolve(failed, queued()).last_error == failed.last_error is not None
    assert evolve(failed, user()).last_error is None


def test_states_do_not_change_when_their_successors_do() -> None:
    before = state_of(*an_idle_chat())
    kept = list(before.messages)
    one, other = evolve(before, user("one")), evolve(before, user("other"))
    assert list(before.messages) == kept
    assert one.messages[-1].parts == (text("one"),)
    assert other.messages[-1].parts == (text("other"),)
    assert fold(one, [user("two")]).messages[-2].parts == (text("one"),)


def test_a_chat_is_what_its_first_event_says() -> None:
    state = state_of(created(labels={"k": "v"}, client_type="ui", parent_chat_id=OWNER))
    assert state.owner_id == OWNER
    assert state.labels == {"k": "v"}
    assert state.client_type == "ui"
    assert state.parent_chat_id == OWNER
