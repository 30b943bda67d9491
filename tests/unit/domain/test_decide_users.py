"""What people ask of a chat: one test a rule."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.chat.calls import SENT_OVER
from service.domain.chat.queue import MAX_QUEUED
from service.domain.chat.state import ChatState, ExecutionState, Status
from service.domain.chat.transitions import classify
from service.domain.events.chat import (
    BusyBehavior,
    ChatEvent,
    InterruptRequested,
    MessageAppended,
    TurnSettings,
)
from tests.builders import (
    BROWSER,
    CHAT,
    NOW,
    a_request,
    a_turn,
    an_answer,
    an_idle_chat,
    archived,
    browse,
    call,
    calls_cancelled,
    cancelled,
    create,
    created,
    given,
    given_state,
    interrupt,
    interrupt_requested,
    plan_mode_changed,
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


def test_create_keeps_labels_client_tools_and_settings() -> None:
    facts: dict[str, Any] = {
        "labels": {"k": "v"},
        "client_type": "ui",
        "plan_mode": "plan",
        "client_tools": (BROWSER,),
        "parent_chat_id": CHAT,
        "root_chat_id": CHAT,
    }
    given().when(create("x", settings=SETTINGS, **facts)).then(
        created(**facts), user("x", settings=SETTINGS)
    )


def test_a_chat_is_created_once() -> None:
    given(created(), user()).when(create()).then_rejects("chat-exists")


# send, on a chat that waits or failed


@BOTH
def test_a_message_to_an_idle_chat_begins_a_turn(busy: BusyBehavior) -> None:
    asked = send("more", busy=busy, settings=SETTINGS)
    outcome = given(*an_idle_chat(), plan_mode_changed("plan")).when(asked)
    outcome.then(user("more", settings=SETTINGS))
    assert outcome.state.turn_id == outcome.state.epoch == 9


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
    asked = TurnSettings(model="m1", reasoning_effort="high")
    given(*a_turn()).when(send("next", settings=asked)).then(
        queued("next").model_copy(update={"settings": asked})
    )


@pytest.mark.parametrize(
    "chat",
    [an_idle_chat(), a_turn(), [*a_turn(), interrupt_requested()], a_request()],
    ids=["waiting", "running", "interrupting", "requires action"],
)
def test_a_plan_mode_is_the_chats_at_once_whatever_happens_to_the_message(
    chat: list[ChatEvent],
) -> None:
    outcome = given(*chat).when(send("plan it", settings=SETTINGS))
    assert outcome.events[0] == plan_mode_changed("plan")
    assert outcome.state.plan_mode == "plan"
    again = given_state(outcome.state).when(send("and that", settings=SETTINGS))
    assert "plan_mode_changed" not in [event.type for event in again.events]


def test_a_message_that_is_refused_changes_no_plan_mode() -> None:
    full = [*a_turn(), *[queued()] * MAX_QUEUED]
    given(*full).when(send(settings=SETTINGS)).then_rejects("queue-full")


def test_a_message_that_asks_for_no_plan_mode_leaves_the_chats() -> None:
    planning = given(*an_idle_chat(), plan_mode_changed("plan"))
    planning.when(send("more", settings=TurnSettings(model="m1"))).then(
        user("more", settings=TurnSettings(model="m1"))
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
    outcome = given(*a_request()).when(send("next"))
    outcome.then(queued("next"))
    assert outcome.state.action == outcome.before.action


def test_an_interrupting_message_cancels_what_the_client_was_to_answer() -> None:
    asked = a_request(browse("c1"), browse("c2"))
    outcome = given(*asked).when(send("stop", busy="interrupt"))
    outcome.then(
        cancelled("c1", BROWSER.name, because=SENT_OVER),
        cancelled("c2", BROWSER.name, because=SENT_OVER),
        calls_cancelled("c1", "c2", reason=SENT_OVER),
        queued("stop", busy="interrupt"),
    )
    assert classify(outcome.state) is ExecutionState.R1
    assert outcome.state.turn_id == outcome.before.turn_id


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
def test_an_interrupt_answers_for_the_client_and_the_turn_goes_on(
    reason: str | None, because: str
) -> None:
    outcome = given(*a_request(), queued()).when(interrupt(reason))
    outcome.then(
        cancelled("c1", BROWSER.name, because=because), calls_cancelled(reason=because)
    )
    assert outcome.state.status is Status.RUNNING
    assert outcome.state.turn_id == outcome.before.turn_id
    assert outcome.state.queue == outcome.before.queue
