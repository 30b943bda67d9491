"""What people take back or put forward: one test a rule."""

from __future__ import annotations

import pytest

from service.domain.chat.calls import REPLACED
from service.domain.chat.state import ExecutionState, Status
from service.domain.chat.transitions import classify
from service.domain.events.chat import ChatEvent, TurnSettings
from tests.builders import (
    BROWSER,
    CHILD,
    OWNER,
    a_chat,
    a_request,
    a_turn,
    an_answer,
    an_idle_chat,
    assistant,
    attempt,
    call,
    calls_cancelled,
    cancelled,
    chat_archived,
    commit_step,
    created,
    delete_queued,
    edit,
    finish_interruption,
    finish_turn,
    given,
    given_state,
    interrupt_requested,
    interruption_finished,
    model_changed,
    plan_mode_changed,
    promote_queued,
    queue_cleared,
    queue_item_deleted,
    queue_item_moved,
    queued,
    retry_scheduled,
    start_attempt,
    text,
    truncated,
    turn_failed,
    user,
)

# edits

STATES = [
    pytest.param(an_idle_chat(), id="W"),
    pytest.param([*a_turn(), turn_failed()], id="E0"),
    pytest.param([*a_turn(), queued(), turn_failed()], id="E1"),
    pytest.param(a_turn(), id="R0"),
    pytest.param([*a_turn(), queued(), queued()], id="R1"),
    pytest.param([*a_turn(), interrupt_requested()], id="I0"),
    pytest.param([*a_turn(), interrupt_requested(), queued()], id="I1"),
    pytest.param(a_request(), id="A0"),
    pytest.param([*a_request(), queued()], id="A1"),
    pytest.param([*a_turn(), retry_scheduled(2)], id="between attempts"),
]


@pytest.mark.parametrize("chat", STATES)
def test_an_edit_in_any_state_runs_a_new_turn_with_nothing_left_of_the_old(
    chat: list[ChatEvent],
) -> None:
    outcome = given(*chat).when(edit(2, "rather"))
    cleared = [queue_cleared()] if outcome.before.queue else []
    outcome.then(truncated(2), *cleared, user("rather"))
    state = outcome.state
    assert classify(state) is ExecutionState.R0
    assert [message.parts for message in state.messages] == [(text("rather"),)]
    assert state.turn_id == state.epoch == state.version
    assert (state.episode, state.retry, state.action) == (None, None, None)
    assert state.last_error is None
    assert state.holder == outcome.before.holder


def test_an_edit_takes_back_what_followed_and_keeps_what_came_before() -> None:
    chat = [*an_idle_chat(), user("more"), assistant("indeed"), user("and more")]
    state = given(*chat).when(edit(8)).state
    assert [message.id for message in state.messages] == [2, 5, state.version]


def test_an_edit_makes_the_work_that_runs_stale() -> None:
    edited = given_state(given(*a_turn()).when(edit(2)).state)
    edited.when(commit_step(2)).then_rejects("stale-worker")
    edited.when(finish_turn(2)).then_rejects("stale-worker")
    edited.when(start_attempt(6)).then(attempt(6))


def test_an_edit_answers_calls_that_stand_before_it() -> None:
    chat = [*an_answer(call()), user("never mind")]
    given(*chat).when(edit(7)).then(
        truncated(7), cancelled(because=REPLACED), user("rather")
    )


def test_an_edit_keeps_the_settings_that_it_does_not_give() -> None:
    asked = TurnSettings(model="m1", reasoning_effort="high")
    chat = given(created(), user(settings=asked))
    kept = chat.when(edit(2)).events[-1]
    assert kept == user("rather", settings=asked)
    other = chat.when(edit(2, settings=TurnSettings(model="m2"))).events[-1]
    both = TurnSettings(model="m2", reasoning_effort="high")
    assert other == user("rather", settings=both)


def test_an_edit_asks_the_model_that_the_message_had_asked() -> None:
    asked = TurnSettings(model="m1", model_config_id=CHILD)
    chat = given(created(), user(settings=asked), model_changed(OWNER))
    again = chat.when(edit(2))
    assert again.events[-1] == user("rather", settings=asked)
    assert again.state.model_config_id == CHILD


def test_an_edit_that_asks_another_config_forgets_the_name_of_the_old_one() -> None:
    asked = TurnSettings(model="m1", model_config_id=CHILD, reasoning_effort="high")
    chat = given(created(), user(settings=asked))
    other = chat.when(edit(2, settings=TurnSettings(model_config_id=OWNER)))
    kept = TurnSettings(model_config_id=OWNER, reasoning_effort="high")
    assert other.events[-1] == user("rather", settings=kept)
    same = chat.when(edit(2, settings=TurnSettings(model_config_id=CHILD)))
    assert same.events[-1] == user("rather", settings=asked)


def test_an_edit_has_the_plan_mode_that_the_chat_has_by_now() -> None:
    planned = user(settings=TurnSettings(model="m1", plan_mode="plan"))
    chat = given(created(plan_mode="plan"), planned, plan_mode_changed(""))
    again = chat.when(edit(2))
    again.then(truncated(2), user("rather", settings=TurnSettings(model="m1")))
    assert again.state.turn_plan_mode == ""
    asked = TurnSettings(plan_mode="plan")
    outcome = chat.when(edit(2, settings=asked))
    outcome.then(
        plan_mode_changed("plan"),
        truncated(2),
        user("rather", settings=TurnSettings(model="m1", plan_mode="plan")),
    )
    assert outcome.state.turn_plan_mode == "plan"


def test_an_edit_of_a_message_without_settings_has_none_or_those_given() -> None:
    given(*a_chat()).when(edit(2)).then(truncated(2), user("rather"))
    asked = TurnSettings(model="m1")
    given(*a_chat()).when(edit(2, settings=asked)).then(
        truncated(2), user("rather", settings=asked)
    )


def test_an_edit_keeps_the_visibility_of_what_it_replaces() -> None:
    shown = [*an_idle_chat(), user("a note", visibility="user")]
    assert given(*shown).when(edit(8)).events[-1] == user("rather", visibility="user")


def test_only_messages_of_users_are_edited() -> None:
    chat = given(*an_idle_chat())
    chat.when(edit(5)).then_rejects("not-a-user-message")
    for absent in (1, 3, 6, 99, -1, 0):
        chat.when(edit(absent)).then_rejects("message-not-found")


def test_a_message_that_was_taken_back_is_not_there_to_edit() -> None:
    chat = given(*an_idle_chat(), truncated(2), user("again"))
    chat.when(edit(2)).then_rejects("message-not-found")
    assert chat.when(edit(9)).state.status is Status.RUNNING


def test_what_only_the_model_sees_is_not_there_to_edit() -> None:
    hidden = user("so far", visibility="model")
    chat = given(*an_idle_chat(), hidden)
    chat.when(edit(8)).then_rejects("message-not-found")


def test_a_message_in_the_queue_is_not_edited() -> None:
    given(*a_turn(), queued()).when(edit(5)).then_rejects("message-not-found")


def test_an_archived_chat_is_not_edited() -> None:
    given(*an_idle_chat(), chat_archived()).when(edit(2)).then_rejects("chat-archived")


# the queue


@pytest.mark.parametrize(
    ("chat", "first", "last"),
    [
        pytest.param([*a_turn()], "R1", "R0", id="running"),
        pytest.param([*a_turn(), interrupt_requested()], "I1", "I0", id="interrupting"),
        pytest.param([*a_request()], "A1", "A0", id="requires action"),
    ],
)
def test_items_are_deleted_one_by_one(
    chat: list[ChatEvent], first: str, last: str
) -> None:
    version = len(chat)
    both = [*chat, queued("a"), queued("b")]
    outcome = given(*both).when(delete_queued(version + 1))
    outcome.then(queue_item_deleted(version + 1))
    assert classify(outcome.state) is ExecutionState(first)
    ended = given(*both, *outcome.events).when(delete_queued(version + 2))
    assert classify(ended.state) is ExecutionState(last)
    assert ended.state.turn_id == ended.before.turn_id


def test_an_item_that_is_not_there_is_not_found() -> None:
    chat = given(*a_turn(), queued("a"), queued("b"), user("a", queued_id=5))
    for absent in (5, 2, 99):
        chat.when(delete_queued(absent)).then_rejects("queue-item-not-found")
        chat.when(promote_queued(absent)).then_rejects("queue-item-not-found")


def test_without_a_queue_there_is_nothing_to_delete_or_promote() -> None:
    for chat in (an_idle_chat(), a_turn(), a_request()):
        given(*chat).when(delete_queued(5)).then_rejects("invalid-state")
        given(*chat).when(promote_queued(5)).then_rejects("invalid-state")


def test_an_item_that_is_promoted_interrupts_the_turn_and_comes_first() -> None:
    outcome = given(*a_turn(), queued("a"), queued("b")).when(promote_queued(6))
    outcome.then(
        queue_item_moved(6), interrupt_requested(reason="queued message promoted")
    )
    assert classify(outcome.state) is ExecutionState.I1
    cut = given(*a_turn(), queued("a"), queued("b"), *outcome.events)
    ended = cut.when(finish_interruption(2))
    assert ended.events[-1] == user("b", queued_id=6)
    assert [item.id for item in ended.state.queue] == [5]


def test_the_head_is_promoted_where_it_stands() -> None:
    running = given(*a_turn(), queued("a")).when(promote_queued(5))
    running.then(interrupt_requested(reason="queued message promoted"))


def test_a_chat_that_is_interrupted_only_takes_another_item_first() -> None:
    cut = [*a_turn(), interrupt_requested(), queued("a"), queued("b")]
    given(*cut).when(promote_queued(7)).then(queue_item_moved(7))
    given(*cut).when(promote_queued(6)).then()


def test_a_failed_chat_goes_on_with_the_item_that_is_promoted() -> None:
    failed = [*an_answer(call()), queued("a"), queued("b"), turn_failed()]
    outcome = given(*failed).when(promote_queued(8))
    outcome.then(
        queue_item_moved(8), cancelled(because=REPLACED), user("b", queued_id=8)
    )
    assert [item.id for item in outcome.state.queue] == [7]
    assert outcome.state.last_error is None
    assert classify(outcome.state) is ExecutionState.R1


def test_an_item_promoted_over_a_client_ends_the_turn_that_waited() -> None:
    """What the client was to answer is cancelled, the turn ends, the next begins."""
    waiting = [*a_request(), queued("a"), queued("b")]
    outcome = given(*waiting).when(promote_queued(9))
    outcome.then(
        queue_item_moved(9),
        cancelled("c1", BROWSER.name, because=REPLACED),
        calls_cancelled(reason=REPLACED),
        interruption_finished(turn_id=2),
        user("b", queued_id=9),
    )
    assert classify(outcome.state) is ExecutionState.R1
    assert outcome.state.action is None
    assert outcome.state.turn_id == outcome.state.version


def test_a_promoted_message_keeps_its_own_settings() -> None:
    asked = TurnSettings(model="m2", plan_mode="plan")
    item = queued("a").model_copy(update={"settings": asked})
    given(*a_turn(), item, turn_failed()).when(promote_queued(5)).then(
        user("a", queued_id=5, settings=asked)
    )


def test_an_archived_chats_queue_stands_still() -> None:
    away = given(*a_turn(), queued(), turn_failed(), chat_archived())
    away.when(delete_queued(5)).then_rejects("chat-archived")
    away.when(promote_queued(5)).then_rejects("chat-archived")
