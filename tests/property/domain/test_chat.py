"""What holds of every chat, whatever is asked of it, by whomever, in any order."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service import wire
from service.domain.chat.calls import outstanding, outstanding_calls
from service.domain.chat.decide import decide
from service.domain.chat.evolve import evolve, fold, message_of
from service.domain.chat.public import (
    public_chat,
    public_message,
    public_queued,
    visible,
)
from service.domain.chat.queue import MAX_QUEUED
from service.domain.chat.state import (
    ChatState,
    ExecutionState,
    History,
    Message,
    Status,
)
from service.domain.chat.transitions import TRANSITIONS, classify, row_name
from service.domain.commands.chat import AcquireRun, CommitCompaction, CommitStep
from service.domain.events.chat import ChatEvent, HistoryTruncated, MessageAppended
from service.domain.events.data import decode_data, encode_data
from service.errors import Rejection
from tests.builders import CHAT, user
from tests.property.domain.anything import EVENTS
from tests.property.domain.courses import (
    COURSES,
    Intent,
    Step,
    replayed,
    run,
)

# a course is long, and the machine may be busy: fewer of them, without a stopwatch
COURSE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
BUSY = {Status.RUNNING, Status.INTERRUPTING, Status.REQUIRES_ACTION}
CUT_SHORT = {Status.RUNNING, Status.INTERRUPTING}


@settings(deadline=None)
@given(st.lists(EVENTS | st.none(), max_size=12))
def test_any_events_fold_to_something(events: list[ChatEvent | None]) -> None:
    state = fold(ChatState(), events)
    assert state.version == len(events)
    assert classify(state) in ExecutionState
    if state.exists:
        wire.dumps(public_chat(CHAT, state))


@COURSE
@given(COURSES)
def test_an_accepted_command_goes_where_the_table_says(course: list[Intent]) -> None:
    for step in run(course).steps:
        if isinstance(step.decision, Rejection):
            assert step.after == step.before
            continue
        row = TRANSITIONS[row_name(step.command)]
        assert classify(step.after) in row[classify(step.before)]
        assert step.after.version == step.before.version + len(step.decision) > 0


@COURSE
@given(COURSES)
def test_at_every_border_the_parts_of_the_state_agree(course: list[Intent]) -> None:
    for step in run(course).steps:
        state = step.after
        assert state.queue == () or state.status is not Status.WAITING
        assert len(state.queue) <= MAX_QUEUED
        assert (state.last_error is not None) == (state.status is Status.ERROR)
        assert (state.action is not None) == (state.status is Status.REQUIRES_ACTION)
        assert state.turn_id is None or state.status in BUSY
        assert state.episode is None or state.status in CUT_SHORT
        assert state.retry is None or state.status in BUSY
        assert state.compaction is None or state.status is Status.RUNNING
        assert state.holder is None or state.holder.term == state.term
        assert state.pin_key is None or not state.archived
        if state.turn_id is not None:
            assert is_user_message(state.messages, state.turn_id)


@COURSE
@given(COURSES)
def test_a_client_is_asked_for_exactly_what_is_open(course: list[Intent]) -> None:
    for step in run(course).steps:
        if step.after.action is not None:
            asked = [call.tool_call_id for call in step.after.action.calls]
            waiting = outstanding_calls(step.after.messages)
            assert asked == [call.tool_call_id for call in waiting] != []


@COURSE
@given(COURSES)
def test_no_user_message_follows_an_unanswered_call(course: list[Intent]) -> None:
    assert_calls_are_answered_before_users_speak(run(course).state.messages)


@COURSE
@given(COURSES)
def test_epochs_and_terms_only_grow(course: list[Intent]) -> None:
    states = replayed(run(course).events)
    for before, after in pairwise(states):
        assert after.term >= before.term
        assert after.epoch >= before.epoch
        if after.epoch == before.epoch:
            assert after.attempt >= before.attempt
        else:
            assert after.epoch == after.version


@COURSE
@given(COURSES)
def test_episodes_are_never_opened_twice(course: list[Intent]) -> None:
    opened = [
        (event.epoch, event.attempt)
        for event in run(course).events
        if event.type == "generation_attempt_started"
    ]
    assert opened == sorted(set(opened))


@COURSE
@given(COURSES)
def test_stale_work_never_appends(course: list[Intent]) -> None:
    for step in run(course).steps:
        if is_stale(step):
            assert isinstance(step.decision, Rejection), step


@COURSE
@given(COURSES)
def test_work_done_twice_counts_once(course: list[Intent]) -> None:
    """A worker that lost the answer and asks again cannot double a step."""
    for step in run(course).steps:
        done = not isinstance(step.decision, Rejection)
        if done and isinstance(step.command, CommitStep | CommitCompaction):
            assert isinstance(decide(step.after, step.command), Rejection)


@COURSE
@given(COURSES, st.data())
def test_a_prefix_and_its_tail_fold_to_the_whole(
    course: list[Intent], data: st.DataObject
) -> None:
    events = run(course).events
    states = replayed(events)
    cut = data.draw(st.integers(0, len(events)))
    copies = [fold(states[cut], events[cut:]) for _ in range(2)]
    assert copies[0] == copies[1] == states[-1] == fold(ChatState(), events)
    other = evolve(states[cut], user("intruder"))
    assert other.messages[-1].id == cut + 1
    assert replayed(events) == states


@COURSE
@given(COURSES)
def test_every_border_is_a_state_that_commands_know(course: list[Intent]) -> None:
    told = run(course)
    for state in replayed(told.events):
        if state.version in told.borders:
            assert classify(state) is not ExecutionState.INVALID


@settings(deadline=None)
@given(EVENTS)
def test_events_survive_the_wire(event: ChatEvent) -> None:
    stored = wire.dumps(encode_data(event))
    assert decode_data(event.type, event.schema_version, wire.loads(stored)) == event


@settings(deadline=None)
@given(EVENTS)
def test_an_event_has_one_encoding(event: ChatEvent) -> None:
    stored = encode_data(event)
    read = decode_data(event.type, event.schema_version, stored)
    assert encode_data(read) == stored


@COURSE
@given(COURSES)
def test_clients_see_each_visible_message_as_its_event_shows_it(
    course: list[Intent],
) -> None:
    """What the stream makes of an event is what a GET makes of the fold."""
    told = run(course)
    streamed = [
        public_message(CHAT, message)
        for message in messages_of(told.events)
        if visible(message)
    ]
    fetched = [
        public_message(CHAT, message)
        for message in told.state.messages
        if visible(message)
    ]
    assert streamed == fetched
    waiting = [public_queued(CHAT, item) for item in told.state.queue]
    assert b"provider_metadata" not in wire.dumps([*fetched, *waiting])


def messages_of(events: list[ChatEvent]) -> Iterable[Message]:
    shown: list[Message] = []
    for version, event in enumerate(events, start=1):
        if isinstance(event, MessageAppended):
            shown.append(message_of(event, version))
        if isinstance(event, HistoryTruncated):
            shown = [message for message in shown if message.id < event.from_id]
    return shown


def is_user_message(messages: History, message_id: int) -> bool:
    return any(m.id == message_id and m.role == "user" for m in messages)


def is_stale(step: Step) -> bool:
    """Whether a worker's command comes from behind the state that it meets."""
    command, state = step.command, step.before
    if isinstance(command, AcquireRun):
        return command.term <= state.term
    worker = getattr(command, "worker", None)
    if worker is None:
        return False
    holder = state.holder
    held = holder is not None and worker == holder.worker
    fence = (getattr(command, "term", None), getattr(command, "epoch", state.epoch))
    return not held or fence != (state.term, state.epoch)


def assert_calls_are_answered_before_users_speak(messages: History) -> None:
    turn: list[Message] = []
    for message in messages:
        if message.role == "user":
            assert outstanding(turn) == []
            turn = []
        turn.append(message)
