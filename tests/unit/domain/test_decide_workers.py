"""What workers do with a chat: one test a rule."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.chat.calls import CUT_OFF
from service.domain.chat.state import Episode, ExecutionState, Holder, Status
from service.domain.chat.transitions import classify
from service.domain.commands.chat import ChatCommand, Spent
from service.domain.events.chat import (
    AttemptKind,
    ChatEvent,
    TurnSettings,
    Usage,
)
from tests.builders import (
    ASKED,
    ERROR,
    NOW,
    WORKER,
    a_chat,
    a_request,
    a_turn,
    abandon,
    abandoned,
    acquire,
    acquired,
    action_required,
    an_answer,
    an_idle_chat,
    archived,
    assistant,
    attempt,
    call,
    cancel_calls,
    cancelled,
    chat_archived,
    commit_step,
    committed,
    draft,
    finish_error,
    finish_interruption,
    finish_turn,
    given,
    given_state,
    interrupt_requested,
    interruption_finished,
    queued,
    require_action,
    result,
    retry_scheduled,
    schedule_retry,
    start_attempt,
    tool,
    turn_failed,
    turn_finished,
    usage_recorded,
    user,
)

SETTINGS = TurnSettings(model="m1")

# acquire, abandon


def test_a_worker_acquires_a_chat_that_runs() -> None:
    outcome = given(*a_chat()).when(acquire(term=3))
    outcome.then(acquired(term=3))
    assert outcome.state.holder == Holder("w1", 3)


@pytest.mark.parametrize("term", [0, 1])
def test_a_term_that_is_not_higher_is_stale(term: int) -> None:
    given(*a_chat(), acquired(1)).when(acquire(term, "w2")).then_rejects("stale-worker")


def test_a_higher_term_takes_the_chat_from_its_holder() -> None:
    outcome = given(*a_turn()).when(acquire(2, "w2"))
    outcome.then(acquired(2, "w2"))
    assert outcome.state.holder == Holder("w2", 2)
    assert outcome.state.episode == outcome.before.episode


def test_a_term_that_was_given_back_stays_used() -> None:
    given(*a_chat(), acquired(4), abandoned(4)).when(acquire(4)).then_rejects(
        "stale-worker"
    )


def test_a_chat_that_is_not_runnable_is_not_acquired() -> None:
    given(*an_idle_chat()).when(acquire(2)).then_rejects("invalid-state")
    given(*a_turn(), turn_failed()).when(acquire(2)).then_rejects("invalid-state")
    given_state(archived(*an_idle_chat())).when(acquire(2)).then_rejects(
        "chat-archived"
    )


def test_a_worker_gives_the_chat_back_in_the_middle_of_a_turn() -> None:
    outcome = given(*a_turn()).when(abandon())
    outcome.then(abandoned())
    assert outcome.state.holder is None
    assert outcome.state.term == 1
    assert outcome.state.status is Status.RUNNING


@pytest.mark.parametrize("stale", [abandon(term=2), abandon(worker="w2")])
def test_only_the_holder_gives_a_chat_back(stale: ChatCommand) -> None:
    given(*a_turn()).when(stale).then_rejects("stale-worker")
    given(*a_chat()).when(stale).then_rejects("stale-worker")


# the fence

FENCES = [
    pytest.param({"worker": "w2"}, id="another worker"),
    pytest.param({"term": 2}, id="another term"),
    pytest.param({"epoch": 1}, id="an older epoch"),
    pytest.param({"epoch": 3}, id="a later epoch"),
]


@pytest.mark.parametrize("fence", FENCES)
def test_a_stale_worker_appends_nothing(fence: dict[str, Any]) -> None:
    fence = {"epoch": 2} | fence
    running = given(*a_turn())
    running.when(start_attempt(**fence)).then_rejects("stale-worker")
    running.when(commit_step(**fence)).then_rejects("stale-worker")
    running.when(finish_turn(**fence)).then_rejects("stale-worker")
    running.when(finish_error(**fence)).then_rejects("stale-worker")
    running.when(schedule_retry(**fence)).then_rejects("stale-worker")
    running.when(require_action(**fence)).then_rejects("stale-worker")
    asked = given(*a_request()[:5], action_required())
    asked.when(cancel_calls(**fence)).then_rejects("stale-worker")
    cut = given(*a_turn(), interrupt_requested())
    cut.when(finish_interruption(**fence)).then_rejects("stale-worker")


def test_a_chat_without_a_holder_takes_no_work() -> None:
    given(*a_turn(), abandoned()).when(start_attempt(2)).then_rejects("stale-worker")


def test_work_goes_on_over_a_message_that_was_queued_meanwhile() -> None:
    given(*a_turn(), queued()).when(commit_step(2)).then(
        assistant(epoch=2, attempt=1), committed(2)
    )


# attempts and steps


def test_attempts_count_from_one_within_an_epoch() -> None:
    given(*a_chat(), acquired()).when(start_attempt(2)).then(attempt(2, 1))
    given(*a_turn()).when(start_attempt(2, "tools")).then(attempt(2, 2, "tools"))
    given(*an_answer(call())).when(start_attempt(5, "tools")).then(
        attempt(5, 1, "tools")
    )


def test_a_new_worker_counts_on() -> None:
    taken = given(*a_turn(), acquired(2, "w2"))
    taken.when(start_attempt(2, worker="w2", term=2)).then(attempt(2, 2))


def test_a_step_appends_its_messages_together_and_closes_the_attempt() -> None:
    usage = Usage(input_tokens=3, output_tokens=5)
    facts: dict[str, Any] = {
        "usage": usage,
        "runtime_ms": 12,
        "finish_reason": "tool_calls",
        "asked": ASKED,
        "cost_micros": 4,
        "response": {"id": "r1"},
    }
    outcome = given(*a_turn()).when(
        commit_step(2, draft("hm", call()), draft(result(), role="tool"), **facts)
    )
    outcome.then(
        assistant(
            "hm",
            call(),
            epoch=2,
            attempt=1,
            usage=usage,
            model_config_id=ASKED.model_config_id,
        ),
        tool(epoch=2, attempt=1),
        committed(2, **facts),
    )
    assert outcome.state.episode is None
    assert (outcome.state.epoch, outcome.state.attempt) == (6, 0)
    assert [message.replaces for message in outcome.state.messages] == [
        None,
        (2, 1),
        (2, 1),
    ]


def test_a_step_keeps_the_visibility_of_its_messages() -> None:
    given(*a_turn()).when(commit_step(2, draft("hm", visibility="model"))).then(
        assistant("hm", visibility="model", epoch=2, attempt=1), committed(2)
    )


def test_a_step_belongs_to_the_open_attempt() -> None:
    given(*a_turn()).when(commit_step(2, attempt=2)).then_rejects("stale-worker")
    given(*a_turn()).when(commit_step(2, kind="tools")).then_rejects("stale-worker")
    given(*a_chat(), acquired()).when(commit_step(2)).then_rejects("stale-worker")


def test_an_attempt_is_committed_once() -> None:
    done = given(*a_turn()).when(commit_step(2)).state
    given_state(done).when(commit_step(2)).then_rejects("stale-worker")
    given_state(done).when(commit_step(done.epoch)).then_rejects("stale-worker")


def test_a_chat_that_is_interrupting_takes_no_step() -> None:
    cut = given(*a_turn(), interrupt_requested())
    cut.when(commit_step(2)).then_rejects("invalid-state")
    cut.when(start_attempt(2)).then_rejects("invalid-state")
    cut.when(finish_turn(2)).then_rejects("invalid-state")
    cut.when(finish_error(2)).then_rejects("invalid-state")


# retries


def test_an_attempt_that_failed_waits_for_its_next() -> None:
    outcome = given(*a_turn()).when(schedule_retry(2))
    outcome.then(retry_scheduled(2))
    assert classify(outcome.state) is ExecutionState.R0
    given_state(outcome.state).when(start_attempt(2)).then(attempt(2, 2))


def test_only_the_open_attempt_fails() -> None:
    given(*a_turn()).when(schedule_retry(2, 2)).then_rejects("stale-worker")
    given(*a_turn(), retry_scheduled(2)).when(schedule_retry(2)).then_rejects(
        "stale-worker"
    )
    given(*a_chat(), acquired()).when(schedule_retry(2)).then_rejects("stale-worker")


# the end of an interruption


def test_an_interruption_keeps_what_had_been_said() -> None:
    outcome = given(*a_turn(), interrupt_requested()).when(
        finish_interruption(2, draft("I was say"))
    )
    outcome.then(
        assistant("I was say", epoch=2, attempt=1),
        interruption_finished(turn_id=2, epoch=2, attempt=1, kind="model"),
    )
    assert classify(outcome.state) is ExecutionState.W
    assert outcome.state.episode is None
    assert outcome.state.turn_id is None


def test_an_interruption_answers_the_calls_of_the_partial() -> None:
    said = [draft(call("c1"), call("c2")), draft(result("c1"), role="tool")]
    given(*a_turn(), interrupt_requested()).when(finish_interruption(2, *said)).then(
        assistant(call("c1"), call("c2"), epoch=2, attempt=1),
        tool(result("c1"), epoch=2, attempt=1),
        cancelled("c2", because=CUT_OFF),
        interruption_finished(turn_id=2, epoch=2, attempt=1, kind="model"),
    )


def test_an_interruption_answers_calls_that_were_committed_before() -> None:
    tools = [*an_answer(call("c1"), call("c2")), attempt(5, 1, "tools")]
    done = draft(result("c2"), role="tool")
    given(*tools, interrupt_requested()).when(finish_interruption(5, done)).then(
        tool(result("c2"), epoch=5, attempt=1),
        cancelled("c1", because=CUT_OFF),
        interruption_finished(turn_id=2, epoch=5, attempt=1, kind="tools"),
    )


def test_an_interruption_between_steps_has_no_partial() -> None:
    cut = given(*an_answer(call()), interrupt_requested())
    cut.when(finish_interruption(5, draft())).then_rejects("stale-worker")
    cut.when(finish_interruption(5)).then(
        cancelled(because=CUT_OFF), interruption_finished(turn_id=2)
    )


def test_an_interruption_by_the_next_worker_names_the_attempt_that_was_cut() -> None:
    taken = [*a_turn(), acquired(2, "w2"), interrupt_requested()]
    given(*taken).when(
        finish_interruption(2, draft("I was"), worker="w2", term=2)
    ).then(
        assistant("I was", epoch=2, attempt=1),
        interruption_finished(turn_id=2, epoch=2, attempt=1, kind="model"),
    )


def test_after_an_interruption_the_head_of_the_queue_goes_on() -> None:
    cut = [*an_answer(call()), interrupt_requested(), queued("first"), queued("second")]
    outcome = given(*cut).when(finish_interruption(5))
    outcome.then(
        cancelled(because=CUT_OFF),
        interruption_finished(turn_id=2),
        user("first", queued_id=8),
    )
    assert [item.id for item in outcome.state.queue] == [9]
    assert outcome.state.turn_id == outcome.state.version
    assert outcome.state.holder == outcome.before.holder


# the end of a turn


def test_a_turn_ends_and_the_chat_waits() -> None:
    outcome = given(*an_answer()).when(finish_turn(5, reason="max_steps"))
    outcome.then(turn_finished(2, reason="max_steps"))
    assert outcome.state.status is Status.WAITING
    assert outcome.state.turn_id is None
    assert outcome.state.holder == Holder("w1", 1)


def test_a_turn_without_an_answer_closes_its_attempt() -> None:
    outcome = given(*a_turn()).when(finish_turn(2))
    assert outcome.before.episode == Episode(2, 1, "model", 4, NOW)
    assert outcome.state.episode is None


def test_the_head_of_the_queue_begins_the_next_turn_with_its_settings() -> None:
    head = queued("first").model_copy(update={"settings": SETTINGS})
    outcome = given(*an_answer(), head, queued("second")).when(finish_turn(5))
    outcome.then(turn_finished(2), user("first", queued_id=7, settings=SETTINGS))
    assert [item.id for item in outcome.state.queue] == [8]
    assert outcome.state.turn_id == 10


def test_a_promotion_answers_open_calls_first() -> None:
    stopped = given(*an_answer(call()), queued("first"))
    stopped.when(finish_turn(5, reason="stop_tool")).then(
        turn_finished(2, reason="stop_tool"),
        cancelled(because="interrupted by new user message"),
        user("first", queued_id=7),
    )


def test_a_failed_turn_keeps_the_queue_and_says_why() -> None:
    outcome = given(*a_turn(), queued()).when(finish_error(2))
    outcome.then(turn_failed(2))
    assert outcome.state.last_error == ERROR
    assert outcome.state.queue == outcome.before.queue
    assert outcome.state.episode is None


def test_a_holder_gives_back_a_chat_that_was_archived_meanwhile() -> None:
    away = given(*an_idle_chat(), chat_archived())
    away.when(abandon()).then(abandoned())
    away.when(finish_error(5)).then_rejects("chat-archived")


def test_a_chat_can_fail_between_turns() -> None:
    given(*an_idle_chat()).when(finish_error(5)).then(turn_failed(None))


# what an attempt took that left no message

SPENT = Spent(asked=ASKED, usage=Usage(input_tokens=9), cost_micros=3, runtime_ms=40)


@pytest.mark.parametrize("kind", ["model", "compaction"])
@pytest.mark.parametrize(
    ("way", "ends"),
    [
        (finish_turn, turn_finished()),
        (finish_error, turn_failed()),
        (schedule_retry, retry_scheduled(2)),
    ],
    ids=["says nothing", "fails", "is tried again"],
)
def test_what_left_no_message_is_recorded_first(
    way: Any, ends: ChatEvent, kind: AttemptKind
) -> None:
    running = [*a_chat(), acquired(), attempt(2, kind=kind)]
    command = way(epoch=2).model_copy(update={"spent": SPENT})
    recorded = usage_recorded(
        purpose="compaction" if kind == "compaction" else "turn",
        usage=SPENT.usage,
        cost_micros=3,
        runtime_ms=40,
        actor=f"worker:{WORKER}",
    )
    given(*running).when(command).then(recorded, ends)
