"""What holds at every border of every chat, whoever asked for whatever, whenever."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections.status import STATUS_TYPES, status_after
from service.agent.next_action import (
    NO_RULES,
    Action,
    AskClient,
    AwaitClient,
    Compact,
    EndInterruption,
    EndTurn,
    Generate,
    GiveUp,
    Nothing,
    Rules,
    RunTools,
    Window,
    next_action,
)
from service.domain.chat.context import (
    answers_since,
    context_tokens,
    model_messages,
)
from service.domain.chat.decide import decide
from service.domain.chat.evolve import evolve, fold
from service.domain.chat.state import ChatState, ExecutionState, Status
from service.domain.chat.transitions import RUNNABLE, classify
from service.domain.commands.chat import ChatCommand, CommitCompaction, NameChat
from service.domain.events.chat import (
    ChatEvent,
    ChatForked,
    HistoryTruncated,
    InterruptionFinished,
    MessageAppended,
    TurnFailed,
    TurnFinished,
)
from service.errors import Rejection
from tests import builders as b
from tests.property.domain.anything import EVENTS
from tests.property.domain.courses import (
    COURSES,
    Course,
    Intent,
    command_for,
    intents,
    replayed,
    run,
)

# a course is long, and the machine may be busy: fewer of them, without a stopwatch
COURSE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
RULES = Rules(Window(limit=100, threshold_percent=70), frozenset({"clock"}))
"""A model whose context is soon full, and a tool after which a turn is over."""

LEGAL = set(ExecutionState) - {ExecutionState.INVALID}


def borders(told: Course) -> list[ChatState]:
    states = replayed(told.events)
    return [states[version] for version in sorted(told.borders)]


@COURSE
@given(COURSES)
def test_a_chat_is_in_one_of_thirteen_states(course: list[Intent]) -> None:
    for state in borders(run(course)):
        assert classify(state) in LEGAL
        assert state.queue == () or state.status is not Status.WAITING
        if state.archived:
            assert state.status in (Status.WAITING, Status.ERROR)


@COURSE
@given(COURSES)
def test_an_event_alone_tells_the_status_that_it_leaves(course: list[Intent]) -> None:
    told, status = run(course), Status.WAITING
    for version, (event, state) in enumerate(
        zip(told.events, replayed(told.events)[1:], strict=True), start=1
    ):
        status = status_after(event) or status
        assert (status_after(event) is None) or event.type in STATUS_TYPES
        if version in told.borders:
            assert status is state.status


@COURSE
@given(COURSES)
def test_a_turn_that_begins_ends_once(course: list[Intent]) -> None:
    """A client that waits for the end of the turn which it began hears it, and once."""
    told = run(course)
    running: int | None = None
    begun: list[int] = []
    for before, event in zip(replayed(told.events), told.events, strict=False):
        match event:
            case MessageAppended(role="user", visibility="user" | "both"):
                assert running is None
                running = before.version + 1
                begun.append(running)
            case InterruptionFinished() | TurnFinished() | TurnFailed():
                assert event.turn_id == running
                running = None
            case HistoryTruncated() | ChatForked():
                running = None
    assert running == told.state.turn_id
    assert len(set(begun)) == len(begun)


@COURSE
@given(COURSES)
def test_a_chat_never_moves_back_in_the_list(course: list[Intent]) -> None:
    told = run(course)
    for before, after in pairwise(replayed(told.events)[1:]):
        assert before.updated_at is not None
        assert after.updated_at is not None
        assert after.updated_at >= before.updated_at


@COURSE
@given(COURSES)
def test_unread_is_the_first_answer_after_what_was_seen(course: list[Intent]) -> None:
    for state in borders(run(course)):
        answers = [
            message.id
            for message in state.messages
            if message.role == "assistant"
            and message.visibility == "both"
            and message.id > state.read_up_to
        ]
        assert state.first_unread == next(iter(answers), None)


@COURSE
@given(COURSES)
def test_a_model_sees_nothing_from_before_the_summary(course: list[Intent]) -> None:
    for state in replayed(run(course).events):
        seen = model_messages(state)
        assert all(m.id >= state.summary_id for m in seen if m.role != "system")
        assert all(m.visibility != "user" for m in seen)
        if state.summary_id:
            told = [m for m in seen if m.role != "system"]
            assert told[0] == state.messages.find(state.summary_id)
            assert (told[0].role, told[0].visibility) == ("user", "model")


@COURSE
@given(COURSES)
def test_an_edit_brings_back_what_the_model_saw(course: list[Intent]) -> None:
    """Summaries that the edit took away are gone; the one before them is the one."""
    told = run(course)
    for before, event in zip(replayed(told.events), told.events, strict=False):
        if isinstance(event, HistoryTruncated):
            after = evolve(before, event)
            kept = [s for s in before.summaries if s < event.from_id]
            assert list(after.summaries) == kept
            assert after.summary_id == next(reversed(kept), 0)
            assert all(after.messages.find(summary) for summary in kept)


@COURSE
@given(COURSES)
def test_a_compaction_is_no_answer_no_step_and_no_turn(course: list[Intent]) -> None:
    for step in run(course).steps:
        done = not isinstance(step.decision, Rejection)
        if not done or not isinstance(step.command, CommitCompaction):
            continue
        before, after = step.before, step.after
        assert after.first_unread == before.first_unread
        assert (after.turn_id, after.status) == (before.turn_id, before.status)
        assert after.summary_id == before.version + 1
        assert answers_since(after, after.summary_id) == 0
        assert answers_since(after, 0) == answers_since(before, 0)
        assert context_tokens(after) is None
        action = next_action(after)
        ends = before.turn_id is None
        assert isinstance(action, EndTurn if ends else EndTurn | Generate)
        given_to_it = [m for m in model_messages(after) if m.role != "system"]
        assert [m.id for m in given_to_it] == [after.summary_id]


@COURSE
@given(COURSES)
def test_a_name_never_touches_a_turn(course: list[Intent]) -> None:
    for step in run(course).steps:
        if isinstance(step.command, NameChat) and not isinstance(
            step.decision, Rejection
        ):
            assert step.decision[-1].type == "usage_recorded"
            named = step.before.title == step.command.expected_title
            title = step.command.title if named else None
            assert step.after.title == (title or step.before.title)
            same = ("title", "title_source", "version")
            kept = {name: getattr(step.before, name) for name in same}
            assert replace(step.after, **kept) == step.before


@COURSE
@given(COURSES, st.data())
def test_a_fork_of_any_border_is_a_chat_that_waits(
    course: list[Intent], data: st.DataObject
) -> None:
    told = run(course)
    cut = data.draw(st.sampled_from(sorted(told.borders - {0}) or [0]))
    if cut == 0:
        return
    source = fold(ChatState(), told.events[:cut])
    fork = b.given().when(b.fork(*told.events[:cut], owner_id=b.CHILD)).state
    assert classify(fork) is ExecutionState.W
    assert (fork.owner_id, fork.version) == (b.CHILD, cut + 1)
    assert list(fork.messages) == list(source.messages)
    assert (fork.holder, fork.queue, fork.children) == (None, (), ())
    went_on = b.given_state(fork).when(b.send("and now?")).state
    assert went_on.status is Status.RUNNING
    assert_rests(went_on)


@COURSE
@given(COURSES, st.data())
def test_a_worker_that_does_what_is_next_brings_the_chat_to_rest(
    course: list[Intent], data: st.DataObject
) -> None:
    """From any border: nothing that it does is refused, and it comes to an end."""
    states = borders(run(course))
    state = states[data.draw(st.integers(0, len(states) - 1))]
    assert_rests(state)
    assert_rests(state, RULES)


@settings(deadline=None)
@given(st.lists(EVENTS | st.none(), max_size=12))
def test_any_state_has_a_next_action(events: list[ChatEvent | None]) -> None:
    state = fold(ChatState(), events)
    next_action(state)
    next_action(state, RULES)


@settings(deadline=None)
@given(st.lists(EVENTS | st.none(), max_size=12), st.lists(intents(), max_size=12))
def test_any_state_answers_any_command(
    events: list[ChatEvent | None], course: list[Intent]
) -> None:
    """Also a state that no chat is ever in: the answer may be no, but there is one."""
    state = fold(ChatState(), events)
    for intent in course:
        decision = decide(state, command_for(intent, state))
        if not isinstance(decision, Rejection):
            state = fold(state, decision)


@COURSE
@given(COURSES, st.data())
def test_any_event_at_any_point_of_a_chat_folds(
    course: list[Intent], data: st.DataObject
) -> None:
    states = replayed(run(course).events)
    state = states[data.draw(st.integers(0, len(states) - 1))]
    event = data.draw(EVENTS)
    after = evolve(state, event)
    assert after.version == state.version + 1
    next_action(after)
    classify(after)


def assert_rests(state: ChatState, rules: Rules = NO_RULES) -> None:
    """One action after the other until no worker is needed; no step is refused."""
    if classify(state) not in RUNNABLE:
        assert isinstance(next_action(state), Nothing)
        return
    state = _do(state, b.acquire(state.term + 1, "w9"))
    # a queue of twenty, each item a turn of two steps, and what was begun before
    for _ in range(200):
        action = next_action(state, rules)
        if isinstance(action, Nothing):
            assert classify(state) not in RUNNABLE
            return
        state = _work(state, action)
    raise AssertionError(f"no end in sight at {classify(state)}")


def _work(state: ChatState, action: Action) -> ChatState:
    """The action, by a model that says one thing and tools that answer."""
    fence: dict[str, Any] = {
        "worker": "w9",
        "term": state.term,
        "epoch": state.epoch,
    }
    match action:
        case RunTools(calls=calls):
            results = [b.result(c.tool_call_id, c.tool_name) for c in calls]
            drafts = [b.draft(result, role="tool") for result in results]
            started = _do(state, b.start_attempt(kind="tools", **fence))
            step = b.commit_step(
                state.epoch,
                *drafts,
                attempt=started.attempt,
                kind="tools",
                worker="w9",
                term=state.term,
            )
            return _do(started, step)
        case Generate():
            started = _do(state, b.start_attempt(**fence, kind="model"))
            spent = b.usage(60 if state.summaries else 90)
            step = b.commit_step(**fence, attempt=started.attempt, usage=spent)
            return _do(started, step)
        case Compact(source=source):
            started = _do(state, b.start_attempt(**fence, kind="compaction"))
            number = started.attempt
            return _do(
                started, b.commit_compaction(**fence, attempt=number, source=source)
            )
        case GiveUp(error=error):
            return _do(state, b.finish_error(**fence, error=error))
        case AskClient():
            return _do(state, b.require_action(**fence))
        case AwaitClient(deadline=deadline):
            late = deadline + timedelta(seconds=1)
            return _do(state, b.cancel_calls(**fence, now=late))
        case EndTurn(reason=reason):
            return _do(state, b.finish_turn(**fence, reason=reason))
        case EndInterruption():
            return _do(state, b.finish_interruption(**fence))
        case Nothing():
            raise AssertionError("nothing is left to do")


def _do(state: ChatState, command: ChatCommand) -> ChatState:
    decision = decide(state, command)
    assert not isinstance(decision, Rejection), (decision, command)
    assert decision, "a worker's action leaves a trace"
    return fold(state, decision)
