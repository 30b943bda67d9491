"""The order of the next-action decision, one test per rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.agent.next_action import (
    MAX_STEPS,
    AskClient,
    AwaitClient,
    Compact,
    EndInterruption,
    EndTurn,
    Generate,
    Nothing,
    RunTools,
    next_action,
)
from service.domain.chat.state import Status
from service.domain.events.chat import ChatEvent
from service.domain.parts import ToolCallPart
from tests.builders import (
    BROWSER,
    RETRYING_AT,
    a_chat,
    a_request,
    a_turn,
    abandoned,
    acquired,
    an_answer,
    an_idle_chat,
    archived,
    assistant,
    attempt,
    browse,
    call,
    calls_cancelled,
    child_spawned,
    committed,
    compaction_requested,
    created,
    edit,
    fork,
    given,
    interrupt,
    interrupt_requested,
    parked,
    pinned,
    queued,
    read_cursor_moved,
    result,
    results_submitted,
    retry_scheduled,
    state_of,
    title_changed,
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


def test_our_calls_run_before_the_client_is_asked_for_its_own() -> None:
    both = asking(browse("c1"), call("c2"))
    assert next_action(state_of(*both)) == RunTools((call("c2"),))
    answered = [*both, tool(result("c2"))]
    assert next_action(state_of(*answered)) == AskClient()


def test_a_tool_that_the_chat_does_not_know_is_ours_to_refuse() -> None:
    unknown = call("c1", "teleport")
    assert next_action(state_of(*asking(unknown))) == RunTools((unknown,))


def test_a_client_is_asked_although_messages_wait() -> None:
    assert next_action(state_of(*asking(browse()), queued())) == AskClient()


def test_results_of_the_client_go_back_to_the_model() -> None:
    seen = tool(result("c1", BROWSER.name))
    for over in (results_submitted(), calls_cancelled(reason="timed out")):
        assert next_action(state_of(*a_request(), seen, over)) == Generate()


def test_a_cancelled_call_of_a_client_does_not_end_the_turn() -> None:
    """An interrupt out of the wait lets the model go on, and the turn end by itself."""
    state = given(*a_request()).when(interrupt()).state
    assert next_action(state) == Generate()


def test_what_failed_is_tried_again_at_its_time() -> None:
    state = state_of(*a_turn(), retry_scheduled(2))
    assert next_action(state) == Generate(not_before=RETRYING_AT)
    assert next_action(state_of(*a_turn(), retry_scheduled(2), attempt(2, 2))) == (
        Generate()
    )


def test_a_wish_to_compact_comes_before_the_end_of_the_turn() -> None:
    asked = [*an_idle_chat(), compaction_requested()]
    assert next_action(state_of(*asked)) == Compact("manual")
    begun = [*asked, acquired(2), attempt(8, 1, "compaction")]
    assert next_action(state_of(*begun)) == Compact("manual")
    done = [*begun, assistant("in short", epoch=8, attempt=1)]
    assert next_action(state_of(*done, committed(8, kind="compaction"))) == (
        EndTurn("complete")
    )


def test_calls_that_are_open_come_before_a_wish_to_compact() -> None:
    failed = [*an_answer(call()), turn_failed(), compaction_requested()]
    assert next_action(state_of(*failed)) == RunTools((call(),))
    asked = [*asking(browse()), turn_failed(), compaction_requested()]
    assert next_action(state_of(*asked)) == AskClient()


def test_an_edit_is_answered_by_the_model() -> None:
    for chat in (an_idle_chat(), a_turn(), a_request(), an_answer(call())):
        assert next_action(given(*chat).when(edit(2)).state) == Generate()


def test_a_fork_needs_nobody() -> None:
    assert next_action(given().when(fork(*a_request())).state) == Nothing()


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


@pytest.mark.parametrize(
    "event",
    [title_changed(), pinned(), read_cursor_moved(2), child_spawned()],
    ids=lambda event: event.type,
)
def test_what_is_about_the_chat_changes_nothing(event: ChatEvent) -> None:
    for chat in (a_turn(), an_answer(call()), a_request(), an_idle_chat()):
        assert next_action(state_of(*chat, event)) == next_action(state_of(*chat))


def test_an_archived_chat_is_left_alone() -> None:
    state = replace(archived(*a_turn()), status=Status.RUNNING)
    assert next_action(state) == Nothing()


def asking(*calls: ToolCallPart) -> list[ChatEvent]:
    """The model has called these; one client runs the browser."""
    return [created(client_tools=(BROWSER,)), *an_answer(*calls)[1:]]
