"""What people ask of a chat that rests: a fork, a compaction, a way out of a fault."""

from __future__ import annotations

import pytest

from service.domain.chat.calls import REPLACED
from service.domain.chat.state import ChatState, ExecutionState, Status
from service.domain.chat.transitions import classify
from service.domain.events.chat import (
    ChatEvent,
)
from tests.builders import (
    BROWSER,
    CHILD,
    a_chat,
    a_request,
    a_turn,
    acquire,
    an_answer,
    an_idle_chat,
    archived,
    call,
    cancelled,
    compact,
    compaction_requested,
    edit,
    finish_turn,
    fork,
    forked,
    given,
    given_state,
    interrupt,
    interrupt_requested,
    output,
    queued,
    read,
    reconcile,
    reconciled,
    send,
    spawn,
    state_of,
    submit,
    turn_failed,
    turn_finished,
    update,
    user,
)

# fork


def test_a_fork_is_a_copy_and_a_last_event_that_says_so() -> None:
    source = [*a_request(), queued()]
    outcome = given().when(fork(*source, owner_id=CHILD))
    outcome.then(*source, forked(8, owner_id=CHILD))
    assert classify(outcome.state) is ExecutionState.W
    assert outcome.state.owner_id == CHILD


def test_a_fork_takes_messages_and_answers_what_was_left_open_first() -> None:
    copied = given().when(fork(*a_request())).state
    given_state(copied).when(send("rather")).then(
        cancelled("c1", BROWSER.name, because=REPLACED), user("rather")
    )


def test_an_id_is_forked_to_once() -> None:
    given(*a_chat()).when(fork()).then_rejects("chat-exists")


# compaction


@pytest.mark.parametrize(
    "chat",
    [an_idle_chat(), [*an_answer(), turn_failed()]],
    ids=["waiting", "failed"],
)
def test_a_chat_that_rests_can_be_asked_to_compact(chat: list[ChatEvent]) -> None:
    outcome = given(*chat).when(compact())
    outcome.then(compaction_requested())
    assert classify(outcome.state) is ExecutionState.R0


def test_a_failed_chat_compacts_with_its_queue_and_goes_on_with_it() -> None:
    outcome = given(*an_answer(), queued("a"), turn_failed()).when(compact())
    assert classify(outcome.state) is ExecutionState.R1
    held = given_state(outcome.state).when(acquire(2)).state
    ended = given_state(held).when(finish_turn(held.epoch, term=2))
    ended.then(turn_finished(None), user("a", queued_id=7))


def test_without_an_answer_there_is_nothing_to_compact() -> None:
    given(*a_turn(), turn_failed()).when(compact()).then_rejects("nothing-to-compact")


def test_a_busy_chat_is_not_compacted() -> None:
    for busy in (a_turn(), [*a_turn(), interrupt_requested()], a_request()):
        given(*busy).when(compact()).then_rejects("invalid-state")


# reconcile


@pytest.mark.parametrize(
    ("state", "into"),
    [
        pytest.param(
            state_of(*an_idle_chat(call()), queued()), "E1", id="waits with a queue"
        ),
        pytest.param(archived(*an_answer(call())), "E0", id="archived while it runs"),
    ],
)
def test_a_chat_in_no_legal_state_fails_and_can_go_on(
    state: ChatState, into: str
) -> None:
    outcome = given_state(state).when(reconcile())
    outcome.then(cancelled(because="interrupted by user"), reconciled())
    assert classify(outcome.state) is ExecutionState(into)
    assert outcome.state.last_error is not None
    assert outcome.state.turn_id is None
    assert given_state(outcome.state).when(send()).state.status is Status.RUNNING


def test_a_chat_in_a_legal_state_is_not_reconciled() -> None:
    given(*a_turn()).when(reconcile()).then_rejects("state-valid")
    given().when(reconcile()).then_rejects("chat-not-found")


def test_a_chat_in_no_legal_state_takes_nothing_else() -> None:
    odd = given(*an_idle_chat(), queued())
    for asked in (send(), interrupt(), edit(2), submit(output()), read(), spawn()):
        odd.when(asked).then_rejects("invalid-state")
    for change in ({"title": "noon"}, {"archived": True}, {"archived": False}):
        odd.when(update(**change)).then_rejects("invalid-state")
