"""The end of a compaction: what it writes, who sees it, and what it leaves alone."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from service.domain.chat.compaction import TOOL, shown_call_id
from service.domain.chat.state import Status
from service.domain.events.chat import TurnSettings
from service.domain.parts import ToolCallPart
from tests.builders import (
    ASKED,
    BROWSER,
    a_compacted_chat,
    a_compaction,
    a_turn,
    acquired,
    an_answer,
    an_idle_chat,
    assistant,
    attempt,
    browse,
    call,
    commit_compaction,
    commit_step,
    committed,
    compact,
    compacted,
    compaction_requested,
    created,
    draft,
    finish_interruption,
    finish_turn,
    fork,
    given,
    given_state,
    interrupt_requested,
    interruption_finished,
    read,
    read_cursor_moved,
    result,
    retry_scheduled,
    schedule_retry,
    start_attempt,
    state_of,
    tool,
    turn_finished,
    usage,
    user,
)

FENCE = {"term": 2}


def test_a_summary_three_messages_and_what_it_took() -> None:
    spent = {
        "asked": ASKED,
        "usage": usage(9),
        "cost_micros": 7,
        "runtime_ms": 80,
        "finish_reason": "stop",
        "response": {"id": "r1"},
    }
    size = {"threshold_percent": 70, "context_tokens": 1500, "context_limit": 2000}
    command = commit_compaction(8, source="manual", **FENCE, **spent, **size)
    outcome = given(*a_compaction()).when(command)
    told = {"source": "manual", "threshold_percent": 70}
    shown = shown_call_id(8, 1)
    outcome.then(
        user(command.summary, visibility="model", created_by=None, **made()),
        assistant(call(shown, TOOL, args=told), visibility="user", **made()),
        tool(
            result(
                shown,
                TOOL,
                result={
                    "summary": "hello",
                    **told,
                    "context_tokens": 1500,
                    "context_limit_tokens": 2000,
                    "usage_percent": 75.0,
                },
            ),
            visibility="user",
            **made(),
        ),
        compacted(11, "manual", **size),
        committed(8, kind="compaction", **spent),
    )


def test_what_nobody_knows_is_not_shown() -> None:
    events = given(*a_compaction()).when(commit_compaction(8, **FENCE)).events
    shown = shown_call_id(8, 1)
    told = {"source": "automatic"}
    assert events[1:4] == [
        assistant(call(shown, TOOL, args=told), visibility="user", **made()),
        tool(
            result(shown, TOOL, result={"summary": "hello", **told}),
            visibility="user",
            **made(),
        ),
        compacted(11),
    ]


def test_a_limit_of_nothing_is_no_share_of_it() -> None:
    size = {"context_tokens": 5, "context_limit": 0}
    events = given(*a_compaction()).when(commit_compaction(8, **FENCE, **size)).events
    part = events[2].parts[0]  # type: ignore[union-attr]
    assert "usage_percent" not in part.result  # type: ignore[operator, union-attr]


def test_a_wish_is_fulfilled_and_the_chat_comes_to_rest() -> None:
    done = given(*a_compaction()).when(commit_compaction(8, **FENCE)).state
    assert (done.status, done.compaction, done.episode) == (Status.RUNNING, None, None)
    assert (done.summary_id, done.epoch, done.attempt) == (11, 13, 0)
    rests = state_of(*a_compacted_chat())
    assert (rests.status, rests.version, rests.epoch) == (Status.WAITING, 16, 13)
    assert rests.summary_id == 11


def test_a_turn_goes_on_behind_its_summary() -> None:
    chat = [*an_answer(call()), tool(), attempt(7, 1, "compaction")]
    outcome = given(*chat).when(commit_compaction(7))
    assert (outcome.state.turn_id, outcome.state.status) == (2, Status.RUNNING)
    assert outcome.state.summary_id == 9


def test_a_summary_is_not_an_answer_that_somebody_has_to_read() -> None:
    assert state_of(*a_compacted_chat()).first_unread == 5
    seen = [*an_idle_chat(), read_cursor_moved(5)]
    begun = [*seen, compaction_requested(), acquired(2), attempt(9, 1, "compaction")]
    done = given(*begun).when(commit_compaction(9, **FENCE)).state
    assert done.first_unread is None
    assert given_state(done).when(read(5)).events == []


def test_a_summary_ends_the_attempt_that_was_begun_for_it_and_no_other() -> None:
    chat = given(*a_compaction())
    for wrong in (
        commit_compaction(8, 2, **FENCE),
        commit_compaction(7, **FENCE),
        commit_compaction(8, term=1),
    ):
        chat.when(wrong).then_rejects("stale-worker")
    given(*a_turn()).when(commit_compaction(2)).then_rejects("stale-worker")
    chat.when(commit_step(8, **FENCE)).then_rejects("stale-worker")
    done = chat.when(commit_compaction(8, **FENCE)).state
    assert done.episode is None


def test_a_step_is_never_a_compaction() -> None:
    with pytest.raises(ValidationError):
        commit_step(8, kind="compaction")  # type: ignore[arg-type]


def test_a_summary_of_nothing_is_none() -> None:
    for empty in ({"summary": ""}, {"shown": ""}):
        with pytest.raises(ValidationError):
            commit_compaction(8, **empty)


@pytest.mark.parametrize("asked", [call(), browse()], ids=["ours", "client"])
def test_calls_are_answered_before_a_summary_hides_them(asked: ToolCallPart) -> None:
    chat = [created(client_tools=(BROWSER,)), *an_answer(asked)[1:]]
    begun = given(*chat, attempt(5, 1, "compaction"))
    begun.when(commit_compaction(5)).then_rejects("stale-worker")


def test_a_summary_that_is_cut_off_stands_for_nothing_but_was_asked_for() -> None:
    begun = [*an_idle_chat(), compaction_requested(), acquired(2)]
    opened = attempt(8, 1, "compaction", asked=ASKED)
    chat = given(*begun, opened, interrupt_requested())
    outcome = chat.when(finish_interruption(8, draft("so f"), **FENCE))
    outcome.then(
        interruption_finished(
            epoch=8, attempt=1, kind="compaction", asked=ASKED, runtime_ms=0
        )
    )
    assert outcome.state.summary_id == 0
    assert outcome.state.status is Status.WAITING


def test_an_attempt_knows_whom_it_asks() -> None:
    chat = given(*an_idle_chat(), compaction_requested(), acquired(2))
    outcome = chat.when(start_attempt(8, "compaction", asked=ASKED, **FENCE))
    outcome.then(attempt(8, 1, "compaction", asked=ASKED))
    assert outcome.state.episode is not None
    assert outcome.state.episode.asked == ASKED


def test_a_summary_that_failed_is_tried_again() -> None:
    outcome = given(*a_compaction()).when(schedule_retry(8, **FENCE))
    outcome.then(retry_scheduled(8))
    assert outcome.state.compaction == 8


def test_what_was_shortened_is_shortened_again_only_after_an_answer() -> None:
    chat = [*a_compacted_chat()]
    refusal = given(*chat).when(compact()).then_rejects("nothing-to-compact")
    assert "was shortened" in refusal.detail
    more = [*chat, user(), assistant("yes"), turn_finished(17)]
    given(*more).when(compact()).then(compaction_requested())


def test_a_fork_keeps_what_the_model_sees() -> None:
    forked = given().when(fork(*a_compacted_chat())).state
    assert forked.summaries == (11,)
    assert forked.context_limit is None


def test_a_message_makes_its_model_the_chats() -> None:
    config = ASKED.model_config_id
    asked = TurnSettings(model_config_id=config)
    assert state_of(created(), user(settings=asked)).model_config_id == config


def test_a_turn_that_only_shortened_has_no_id() -> None:
    done = given(*a_compaction()).when(commit_compaction(8, **FENCE))
    ended = given(*a_compaction(), *done.events).when(finish_turn(13, **FENCE))
    ended.then(turn_finished(None))


def made() -> dict[str, int]:
    """The attempt that these messages come from."""
    return {"epoch": 8, "attempt": 1}
