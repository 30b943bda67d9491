"""The fold: counters, clocks, and events that come where nobody expects them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.domain.chat.evolve import evolve, fold
from service.domain.chat.state import (
    ChatState,
    Message,
    PendingAction,
    Retry,
    Status,
)
from service.domain.events.chat import ChatEvent, TurnSettings
from tests.builders import (
    DEADLINE,
    ERROR,
    NOW,
    OWNER,
    RETRYING_AT,
    a_chat,
    a_request,
    a_turn,
    abandoned,
    acquired,
    action_required,
    an_idle_chat,
    assistant,
    attempt,
    browse,
    calls_cancelled,
    committed,
    compaction_requested,
    created,
    forked,
    interrupt_requested,
    pending,
    plan_mode_changed,
    queue_cleared,
    queue_item_deleted,
    queue_item_moved,
    queued,
    read_cursor_moved,
    reconciled,
    results_submitted,
    retry_scheduled,
    state_of,
    text,
    title_changed,
    tool,
    truncated,
    turn_failed,
    turn_finished,
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


@pytest.mark.parametrize(
    "state",
    [
        state_of(*a_request()),
        state_of(*an_idle_chat()),
        state_of(*a_turn(), turn_failed()),
    ],
    ids=["requires action", "waiting", "failed"],
)
def test_only_what_runs_is_interrupted(state: ChatState) -> None:
    assert evolve(state, interrupt_requested()).status is state.status


def test_a_cut_takes_the_turn_and_grants_an_epoch() -> None:
    state = state_of(*a_turn(), truncated(2))
    assert list(state.messages) == []
    assert (state.epoch, state.attempt) == (5, 0)
    assert (state.turn_id, state.episode) == (None, None)
    assert state.holder == state_of(*a_turn()).holder


@pytest.mark.parametrize(
    ("chat", "field"),
    [
        ([*a_turn(), retry_scheduled(2)], "retry"),
        (a_request(), "action"),
        ([*an_idle_chat(), compaction_requested()], "compaction"),
        (a_turn(), "episode"),
    ],
    ids=["retry", "action", "compaction", "episode"],
)
def test_nothing_of_a_turn_outlives_the_cut(chat: list[ChatEvent], field: str) -> None:
    assert getattr(state_of(*chat), field) is not None
    assert getattr(state_of(*chat, truncated(2)), field) is None


def test_a_cut_where_no_message_stands_takes_what_came_later() -> None:
    said = [*a_chat(), queued(), assistant("one"), assistant("two")]
    kept = state_of(*said, truncated(3)).messages
    assert [message.id for message in kept] == [2]
    assert state_of(*said, truncated(99)).messages == state_of(*said).messages


def test_a_moved_item_heads_the_queue_and_the_others_keep_their_order() -> None:
    state = state_of(*a_turn(), queued("a"), queued("b"), queued("c"))
    moved = evolve(state, queue_item_moved(7))
    assert [item.id for item in moved.queue] == [7, 5, 6]
    assert evolve(moved, queue_item_moved(99)).queue == moved.queue
    assert [item.id for item in evolve(moved, queue_item_deleted(5)).queue] == [7, 6]
    assert evolve(moved, queue_cleared()).queue == ()


def test_a_retry_shows_until_the_next_attempt() -> None:
    failed = state_of(*a_turn(), retry_scheduled(2))
    assert failed.episode is None
    assert failed.retry == Retry(1, 1000, RETRYING_AT, ERROR)
    assert evolve(failed, attempt(2, 2)).retry is None
    assert evolve(failed, interrupt_requested()).retry is None
    assert evolve(failed, turn_failed()).retry is None


def test_a_request_to_a_client_lasts_until_its_results() -> None:
    asked = state_of(*a_request())
    assert asked.action == PendingAction(pending(browse()), DEADLINE)
    for over in (results_submitted(), calls_cancelled(reason="timed out")):
        after = evolve(asked, over)
        assert (after.status, after.action) == (Status.RUNNING, None)
        assert after.turn_id == asked.turn_id == 2


@pytest.mark.parametrize(
    ("event", "survives"),
    [
        (acquired(2), True),
        (abandoned(), True),
        (queued(), True),
        (attempt(8, kind="compaction"), True),
        (retry_scheduled(8), True),
        (assistant(), True),
        (tool(), True),
        (committed(8, kind="tools"), True),
        (title_changed(), True),
        (read_cursor_moved(2), True),
        (committed(8, kind="compaction"), False),
        (user(), False),
        (truncated(2), False),
        (queue_item_deleted(9), False),
        (queue_item_moved(9), False),
        (interrupt_requested(), False),
        (action_required(), False),
        (results_submitted(), False),
        (turn_finished(None), False),
        (turn_failed(None), False),
        (reconciled(), False),
        (forked(8), False),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
def test_a_wish_to_compact_does_not_outlive_what_it_was_for(
    event: ChatEvent, survives: bool
) -> None:
    state = state_of(*an_idle_chat(), compaction_requested())
    assert state.compaction == 8
    assert (evolve(state, event).compaction is not None) is survives


def test_a_wish_to_compact_grants_an_epoch_and_frees_the_chat() -> None:
    failed = state_of(*a_turn(), turn_failed(), queued(), queued())
    assert failed.attempt == 1
    state = evolve(failed, compaction_requested())
    assert (state.status, state.epoch, state.attempt) == (Status.RUNNING, 8, 0)
    assert (state.holder, state.term, state.turn_id) == (None, 1, None)


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


def test_a_turn_keeps_the_plan_mode_that_it_began_with() -> None:
    asked = user(settings=TurnSettings(plan_mode="plan"))
    state = state_of(created(), asked, plan_mode_changed(""))
    assert (state.turn_plan_mode, state.plan_mode) == ("plan", "")


def test_a_turn_that_asks_for_no_plan_mode_has_the_chats() -> None:
    planning: list[ChatEvent] = [
        created(plan_mode="plan"),
        user(settings=TurnSettings(model="m1")),
    ]
    assert state_of(*planning).turn_plan_mode == "plan"
    assert state_of(*a_chat()).turn_plan_mode == ""
    told = user(settings=TurnSettings(plan_mode=""))
    assert state_of(created(plan_mode="plan"), told).turn_plan_mode == ""
