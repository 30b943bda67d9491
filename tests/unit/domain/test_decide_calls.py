"""Calls of a client's tools: asked for, answered, cancelled. One test a rule."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.domain.chat.state import ExecutionState
from service.domain.chat.transitions import classify
from service.domain.commands.chat import ToolOutput
from service.domain.events.chat import (
    ChatEvent,
    MessageAppended,
)
from service.domain.parts import ToolCallPart
from tests.builders import (
    BROWSER,
    DEADLINE,
    a_request,
    a_turn,
    abandoned,
    acquire,
    action_required,
    an_answer,
    an_idle_chat,
    browse,
    call,
    calls_cancelled,
    cancel_calls,
    commit_step,
    created,
    finish_error,
    finish_turn,
    given,
    given_state,
    output,
    queued,
    require_action,
    result,
    results_submitted,
    start_attempt,
    submit,
    tool,
)


def asking(*calls: ToolCallPart) -> list[ChatEvent]:
    """R0, the model has called these; a client runs the browser. Epoch 5."""
    return [created(client_tools=(BROWSER,)), *an_answer(*calls)[1:]]


@pytest.mark.parametrize("waiting", [[], [queued()]], ids=["R0", "R1"])
def test_a_client_is_asked_for_its_calls_in_their_order(
    waiting: list[ChatEvent],
) -> None:
    calls = [browse("c2"), browse("c1", args={"url": "about:blank"})]
    outcome = given(*asking(*calls), *waiting).when(require_action(5))
    outcome.then(action_required(*calls))
    assert outcome.state.turn_id == 2
    assert outcome.state.holder == outcome.before.holder


def test_the_client_is_not_asked_before_our_calls_are_answered() -> None:
    both = [browse("c1"), call("c2")]
    given(*asking(*both)).when(require_action(5)).then_rejects("stale-worker")
    given(*asking(*both), tool(result("c2"))).when(require_action(7)).then(
        action_required(browse("c1"))
    )


def test_without_a_call_of_the_clients_there_is_nothing_to_ask() -> None:
    given(*an_answer()).when(require_action(5)).then_rejects("stale-worker")
    given(*an_answer(browse())).when(require_action(5)).then_rejects("stale-worker")


def test_a_client_that_is_asked_answers_all_in_the_order_of_the_calls() -> None:
    asked = a_request(browse("c1"), browse("c2"))
    bad = output("c1", {"error": "no page"}, is_error=True)
    outcome = given(*asked).when(submit(output("c2", None), bad))
    outcome.then(
        tool(result("c1", "browser", result={"error": "no page"}, is_error=True)),
        tool(result("c2", "browser", result=None)),
        results_submitted("c1", "c2"),
    )
    assert classify(outcome.state) is ExecutionState.R0
    assert outcome.state.turn_id == 2


def test_results_leave_the_queue_waiting() -> None:
    outcome = given(*a_request(), queued()).when(submit(output()))
    assert classify(outcome.state) is ExecutionState.R1
    assert outcome.state.queue == outcome.before.queue


@pytest.mark.parametrize(
    ("results", "fields"),
    [
        pytest.param([], ["results"], id="none"),
        pytest.param([output("c1")], ["results"], id="one is missing"),
        pytest.param(
            [output("c1"), output("c2"), output("c3")],
            ["results.2.tool_call_id"],
            id="one too many",
        ),
        pytest.param(
            [output("c1"), output("c2"), output("c1")],
            ["results.0.tool_call_id", "results.2.tool_call_id"],
            id="one twice",
        ),
        pytest.param(
            [output("c1"), output("c3")],
            ["results.1.tool_call_id", "results"],
            id="another one",
        ),
    ],
)
def test_results_that_are_not_those_of_the_calls_are_refused_as_a_whole(
    results: list[ToolOutput], fields: list[str]
) -> None:
    chat = given(*a_request(browse("c1"), browse("c2")))
    refused = chat.when(submit(*results)).then_rejects("tool-results-mismatch")
    assert [error.field for error in refused.errors] == fields


def test_results_that_nobody_waits_for_are_refused() -> None:
    for chat in (a_turn(), an_idle_chat(), asking(browse())):
        given(*chat).when(submit(output())).then_rejects("no-action-required")
    submitted = given(*a_request()).when(submit(output())).state
    given_state(submitted).when(submit(output())).then_rejects("no-action-required")


def test_results_come_in_whoever_holds_the_chat() -> None:
    given(*a_request(), abandoned()).when(submit(output())).then(
        tool(result("c1", "browser", result="seen")), results_submitted()
    )


def test_a_client_whose_time_is_up_is_answered_for() -> None:
    outcome = given(*a_request()).when(cancel_calls(5))
    late = [
        event.model_copy(update={"at": DEADLINE})
        for event in (calls_cancelled(reason="timed out", actor=None),)
    ]
    assert outcome.events[-1:] == late
    answer = outcome.events[0]
    assert isinstance(answer, MessageAppended)
    assert [part.result for part in answer.parts if part.type == "tool-result"] == [
        "timed out"
    ]
    assert classify(outcome.state) is ExecutionState.R0


def test_a_client_has_all_its_time() -> None:
    early = DEADLINE - timedelta(microseconds=1)
    chat = given(*a_request())
    chat.when(cancel_calls(5, now=early)).then_rejects("stale-worker")


def test_a_client_is_answered_for_once() -> None:
    after = given_state(given(*a_request()).when(cancel_calls(5)).state)
    after.when(cancel_calls(after.state.epoch)).then_rejects("invalid-state")


def test_a_chat_that_waits_for_its_client_takes_no_step() -> None:
    chat = given(*a_request())
    chat.when(start_attempt(5)).then_rejects("invalid-state")
    chat.when(commit_step(5)).then_rejects("invalid-state")
    chat.when(finish_turn(5)).then_rejects("invalid-state")
    chat.when(finish_error(5)).then_rejects("invalid-state")


def test_the_next_worker_keeps_the_clients_deadline() -> None:
    taken = given(*a_request()).when(acquire(2, "w2")).state
    assert taken.action == given(*a_request()).state.action
    late = given_state(taken).when(cancel_calls(5, worker="w2", term=2))
    assert classify(late.state) is ExecutionState.R0
