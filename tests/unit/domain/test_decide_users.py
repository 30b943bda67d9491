"""What people ask of a chat: one test a rule."""

from __future__ import annotations

import pytest

from service.domain.chat.queue import MAX_QUEUED
from service.domain.chat.state import ChatState, ExecutionState, Status
from service.domain.chat.transitions import classify
from service.domain.events.chat import (
    BusyBehavior,
    InterruptRequested,
    MessageAppended,
    TurnSettings,
)
from tests.builders import (
    NOW,
    OWNER,
    a_turn,
    an_answer,
    an_idle_chat,
    archived,
    call,
    cancelled,
    create,
    created,
    given,
    given_state,
    interrupt,
    interrupt_requested,
    parked,
    queued,
    result,
    send,
    text,
    tool,
    turn_failed,
    user,
)

REPLACED = "interrupted by new user message"
SETTINGS = TurnSettings(model="m1", reasoning_effort="high", plan_mode="plan")
BOTH = pytest.mark.parametrize("busy", ["queue", "interrupt"])

# create


def test_create_appends_the_chat_and_its_first_message() -> None:
    given().when(create("hello")).then(created(), user("hello"))


def test_create_puts_the_system_prompt_before_the_message_for_the_model_only() -> None:
    prompt = MessageAppended(
        at=NOW, role="system", visibility="model", parts=(text("be brief"),)
    )
    outcome = given().when(create("hello", system_prompt="be brief"))
    outcome.then(created(), prompt, user("hello"))
    assert outcome.state.turn_id == 3


def test_create_keeps_labels_client_and_settings() -> None:
    asked = create("x", labels={"k": "v"}, client_type="ui", settings=SETTINGS)
    given().when(asked).then(
        created(labels={"k": "v"}, client_type="ui"), user("x", settings=SETTINGS)
    )


def test_a_chat_is_created_once() -> None:
    given(created(), user()).when(create()).then_rejects("chat-exists")


# send, on a chat that waits or failed


@BOTH
def test_a_message_to_an_idle_chat_begins_a_turn(busy: BusyBehavior) -> None:
    outcome = given(*an_idle_chat()).when(send("more", busy=busy, settings=SETTINGS))
    outcome.then(user("more", settings=SETTINGS))
    assert outcome.state.turn_id == outcome.state.epoch == 8


@BOTH
def test_a_message_answers_calls_that_were_left_open_first(busy: BusyBehavior) -> None:
    given(*an_idle_chat(call("c1"), call("c2"))).when(send("more", busy=busy)).then(
        cancelled("c1", because=REPLACED),
        cancelled("c2", because=REPLACED),
        user("more"),
    )


def test_a_message_leaves_answered_and_provider_executed_calls_alone() -> None:
    calls = [call("c1"), call("c2"), call("p", provider_executed=True)]
    given(*an_idle_chat(*calls), tool(result("c2"))).when(send("more")).then(
        cancelled("c1", because=REPLACED), user("more")
    )


def test_a_message_after_an_error_clears_it() -> None:
    outcome = given(*an_answer(call()), turn_failed()).when(send("again"))
    outcome.then(cancelled(because=REPLACED), user("again"))
    assert outcome.before.last_error is not None
    assert outcome.state.last_error is None


@BOTH
def test_a_message_after_an_error_with_a_queue_waits_and_the_head_goes_on(
    busy: BusyBehavior,
) -> None:
    stopped = [*an_answer(call()), queued("first"), queued("second"), turn_failed()]
    outcome = given(*stopped).when(send("third", busy=busy))
    outcome.then(
        queued("third", busy=busy),
        cancelled(because=REPLACED),
        user("first", queued_id=7),
    )
    said = [item.parts for item in outcome.state.queue]
    assert said == [(text("second"),), (text("third"),)]
    assert outcome.state.last_error is None


def test_after_an_error_a_full_queue_refuses_although_its_head_would_go() -> None:
    stopped = [*a_turn(), *[queued()] * MAX_QUEUED, turn_failed()]
    given(*stopped).when(send()).then_rejects("queue-full")


# send, on a busy chat


def test_a_message_to_a_running_chat_waits() -> None:
    given(*a_turn()).when(send("next", settings=SETTINGS)).then(
        queued("next").model_copy(update={"settings": SETTINGS})
    )


def test_an_interrupting_message_goes_through_the_queue() -> None:
    given(*a_turn()).when(send("stop", busy="interrupt")).then(
        queued("stop", busy="interrupt"),
        interrupt_requested(reason="new user message"),
    )


@BOTH
def test_a_message_to_an_interrupting_chat_only_waits(busy: BusyBehavior) -> None:
    cut = [*a_turn(), interrupt_requested()]
    given(*cut).when(send("next", busy=busy)).then(queued("next", busy=busy))


def test_a_message_to_a_chat_that_awaits_its_client_waits() -> None:
    given_state(parked(*an_answer(call()))).when(send("next")).then(queued("next"))


def test_an_interrupting_message_cancels_what_the_client_was_to_answer() -> None:
    state = parked(*an_answer(call("c1"), call("c2")), tool(result("c1")))
    outcome = given_state(state).when(send("stop", busy="interrupt"))
    outcome.then(
        cancelled("c2", because="interrupted by user message"),
        queued("stop", busy="interrupt"),
        interrupt_requested(reason="new user message"),
    )
    assert classify(outcome.state) is ExecutionState.R1


@BOTH
@pytest.mark.parametrize("busy_with", [[], [interrupt_requested()]])
def test_a_full_queue_refuses(
    busy: BusyBehavior, busy_with: list[InterruptRequested]
) -> None:
    full = [*a_turn(), *[queued()] * MAX_QUEUED, *busy_with]
    refused = given(*full).when(send(busy=busy)).then_rejects("queue-full")
    assert str(MAX_QUEUED) in refused.detail


def test_the_last_place_of_the_queue_can_be_taken() -> None:
    nearly = [*a_turn(), *[queued()] * (MAX_QUEUED - 1)]
    outcome = given(*nearly).when(send())
    assert len(outcome.state.queue) == MAX_QUEUED


def test_a_chat_that_does_not_exist_takes_nothing() -> None:
    given().when(send()).then_rejects("chat-not-found")
    given().when(interrupt()).then_rejects("chat-not-found")


def test_an_archived_chat_takes_nothing() -> None:
    given_state(archived(*an_idle_chat())).when(send()).then_rejects("chat-archived")
    given_state(archived(*an_idle_chat())).when(interrupt()).then_rejects(
        "chat-archived"
    )


# interrupt


def test_an_interrupt_asks_the_worker_to_stop() -> None:
    outcome = given(*a_turn(), queued()).when(interrupt("enough"))
    outcome.then(interrupt_requested(reason="enough"))
    assert outcome.state.status is Status.INTERRUPTING
    assert outcome.state.queue == outcome.before.queue
    assert outcome.state.episode == outcome.before.episode


@pytest.mark.parametrize(
    "state",
    [
        given(*an_idle_chat()).state,
        given(*a_turn(), turn_failed()).state,
        given(*a_turn(), interrupt_requested()).state,
    ],
    ids=["waiting", "failed", "interrupting"],
)
def test_only_a_turn_that_runs_can_be_interrupted(state: ChatState) -> None:
    given_state(state).when(interrupt()).then_rejects("nothing-to-interrupt")


@pytest.mark.parametrize(
    ("reason", "because"), [(None, "interrupted by user"), ("enough", "enough")]
)
def test_an_interrupt_answers_for_the_client(reason: str | None, because: str) -> None:
    outcome = given_state(parked(*an_answer(call()))).when(interrupt(reason))
    outcome.then(cancelled(because=because), interrupt_requested(reason=reason))
    assert outcome.state.status is Status.RUNNING
    assert outcome.events[-1].model_dump()["actor"] == str(OWNER)
