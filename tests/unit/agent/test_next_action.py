"""The order of the next-action decision, one test per rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.agent.next_action import (
    MAX_STEPS,
    AwaitClient,
    EndInterruption,
    EndTurn,
    Generate,
    Nothing,
    RunTools,
    next_action,
)
from service.domain.chat.state import Status
from tests.builders import (
    a_chat,
    a_turn,
    abandoned,
    acquired,
    an_answer,
    an_idle_chat,
    archived,
    assistant,
    attempt,
    call,
    interrupt_requested,
    parked,
    queued,
    result,
    state_of,
    tool,
    turn_failed,
    user,
)


def test_a_user_message_is_answered_by_the_model() -> None:
    assert next_action(state_of(*a_chat())) == Generate()


def test_a_begun_attempt_that_was_not_committed_is_made_again() -> None:
    assert next_action(state_of(*a_turn())) == Generate()


def test_who_holds_the_chat_changes_nothing() -> None:
    free = [*a_turn(), abandoned()]
    taken = [*a_turn(), abandoned(), acquired(2, "w2")]
    assert next_action(state_of(*free)) == next_action(state_of(*taken)) == Generate()


def test_unanswered_calls_are_run_in_their_order() -> None:
    first, second = call("c1"), call("c2")
    state = state_of(*an_answer("hi", second, first))
    assert next_action(state) == RunTools((second, first))


def test_calls_that_have_results_are_not_run_again() -> None:
    state = state_of(*an_answer(call("c1"), call("c2")), tool(result("c1")))
    assert next_action(state) == RunTools((call("c2"),))


def test_calls_that_the_provider_executed_are_not_run() -> None:
    state = state_of(*an_answer(call(provider_executed=True)))
    assert next_action(state) == EndTurn("complete")


def test_results_go_back_to_the_model() -> None:
    assert next_action(state_of(*an_answer(call()), tool())) == Generate()


def test_an_answer_without_calls_ends_the_turn() -> None:
    assert next_action(state_of(*an_answer())) == EndTurn("complete")


def test_an_answer_ends_the_turn_although_messages_wait() -> None:
    assert next_action(state_of(*an_answer(), queued())) == EndTurn("complete")


def test_a_note_to_the_user_alone_does_not_count_as_the_last_message() -> None:
    note = assistant("by the way", visibility="user")
    assert next_action(state_of(*a_chat(), note)) == Generate()


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(MAX_STEPS - 1, Generate()), (MAX_STEPS, EndTurn("max_steps"))],
)
def test_a_turn_of_too_many_steps_ends(steps: int, expected: object) -> None:
    said = [event for _ in range(steps) for event in (assistant(call()), tool())]
    assert next_action(state_of(*a_chat(), *said)) == expected


def test_steps_of_earlier_turns_do_not_count() -> None:
    said = [event for _ in range(MAX_STEPS) for event in (assistant(call()), tool())]
    assert next_action(state_of(*a_chat(), *said, user())) == Generate()


def test_a_user_message_for_the_model_alone_begins_no_turn() -> None:
    said = [event for _ in range(MAX_STEPS) for event in (assistant(call()), tool())]
    summary = user("so far", visibility="model")
    state = state_of(*a_chat(), *said, summary)
    assert next_action(state) == EndTurn("max_steps")


def test_an_interruption_is_ended_whatever_was_going_on() -> None:
    for events in (a_turn(), an_answer(call()), [*an_answer(), attempt(5)]):
        state = state_of(*events, interrupt_requested())
        assert next_action(state) == EndInterruption()


def test_an_idle_chat_needs_nobody() -> None:
    assert next_action(state_of(*an_idle_chat())) == Nothing()


def test_a_failed_chat_needs_nobody_although_messages_wait() -> None:
    assert next_action(state_of(*a_turn(), queued(), turn_failed())) == Nothing()


def test_a_chat_that_waits_for_its_client_is_answered_for_at_the_deadline() -> None:
    state = parked(*an_answer(call()))
    assert state.action is not None
    assert next_action(state) == AwaitClient(state.action.deadline)


def test_an_archived_chat_is_left_alone() -> None:
    state = replace(archived(*a_turn()), status=Status.RUNNING)
    assert next_action(state) == Nothing()
