"""The table: every command in every state, and the same text in ARCHITECTURE.md."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from service.domain.chat.decide import decide
from service.domain.chat.evolve import fold
from service.domain.chat.state import ChatState, ExecutionState
from service.domain.chat.transitions import (
    ARCHIVED,
    RUNNABLE,
    TRANSITIONS,
    classify,
    render,
    row_name,
)
from service.domain.commands.chat import ChatCommand
from service.errors import Rejection
from tests import builders as b

ARCHITECTURE = Path(__file__).parents[3] / "ARCHITECTURE.md"
BEGIN = "<!-- transitions:begin -->\n"
END = "<!-- transitions:end -->"

S = ExecutionState


def states(of: ExecutionState) -> list[ChatState]:
    """States of this kind, held by the worker where they exist; never empty."""
    waits, fails = [b.queued("second")], [b.turn_failed()]
    with_call = b.an_answer(b.call())
    match of:
        case S.N:
            return [ChatState()]
        case S.W:
            return [
                b.state_of(*b.an_idle_chat()),
                b.state_of(*b.an_idle_chat(b.call())),
            ]
        case S.E0:
            return [b.state_of(*b.a_turn(), *fails)]
        case S.E1:
            return [b.state_of(*with_call, *waits, *fails)]
        case S.R0:
            return [b.state_of(*b.a_turn())]
        case S.R1:
            return [
                b.state_of(*b.a_turn(), *waits),
                b.state_of(*b.a_turn(), *waits, *waits),
            ]
        case S.I0:
            return [b.state_of(*b.a_turn(), b.interrupt_requested())]
        case S.I1:
            cut = [*b.a_turn(), b.interrupt_requested(), *waits]
            return [b.state_of(*cut), b.state_of(*cut, *waits)]
        case S.A0:
            return [b.parked(*with_call)]
        case S.A1:
            return [b.parked(*with_call, *waits)]
        case S.XW:
            return [b.archived(*b.an_idle_chat())]
        case S.XE0:
            return [b.archived(*b.a_turn(), *fails)]
        case S.XE1:
            return [b.archived(*b.a_turn(), *waits, *fails)]
        case S.INVALID:
            return [b.state_of(*b.an_idle_chat(), *waits), b.archived(*b.a_turn())]


def command(row: str, state: ChatState) -> ChatCommand:
    """A command of this row that passes the fence of `state`."""
    epoch, episode = state.epoch, state.episode
    number = episode.attempt if episode else 1
    commands: dict[str, ChatCommand] = {
        "CreateChat": b.create(),
        "SendMessage(queue)": b.send(),
        "SendMessage(interrupt)": b.send(busy="interrupt"),
        "Interrupt": b.interrupt(),
        "AcquireRun": b.acquire(state.term + 1),
        "AbandonRun": b.abandon(),
        "StartAttempt": b.start_attempt(epoch),
        "CommitStep": b.commit_step(epoch, attempt=number),
        "FinishInterruption": b.finish_interruption(epoch),
        "FinishTurn": b.finish_turn(epoch),
        "FinishError": b.finish_error(epoch),
    }
    return commands[row]


def refusal(row: str, state: ExecutionState) -> str:
    """The code that a refusal by the table carries."""
    if state is S.N:
        return "chat-not-found"
    if row == "CreateChat":
        return "chat-exists"
    if state in ARCHIVED:
        return "chat-archived"
    if row == "Interrupt" and state is not S.INVALID:
        return "nothing-to-interrupt"
    return "invalid-state"


CELLS = [(row, state) for row in TRANSITIONS for state in S]


@pytest.mark.parametrize(("row", "current"), CELLS)
def test_each_command_in_each_state_goes_where_the_table_says(
    row: str, current: ExecutionState
) -> None:
    reached: set[ExecutionState] = set()
    for state in states(current):
        decision = decide(state, command(row, state))
        if current in TRANSITIONS[row]:
            assert not isinstance(decision, Rejection), decision
            assert decision, "a command that is allowed leaves a trace"
            reached.add(classify(fold(state, decision)))
        else:
            assert isinstance(decision, Rejection)
            assert decision.code == refusal(row, current)
    assert reached == TRANSITIONS[row].get(current, frozenset())


@pytest.mark.parametrize("current", list(S))
def test_states_are_classified_as_they_were_built(current: ExecutionState) -> None:
    assert {classify(state) for state in states(current)} == {current}


def test_the_table_has_a_row_for_each_command() -> None:
    rows = {row.partition("(")[0] for row in TRANSITIONS}
    assert rows == {model.__name__ for model in get_args(ChatCommand)}
    assert row_name(b.send(busy="interrupt")) == "SendMessage(interrupt)"


def test_no_command_leads_to_invalid_or_out_of_it() -> None:
    for row in TRANSITIONS.values():
        assert S.INVALID not in row
        assert all(S.INVALID not in targets for targets in row.values())


def test_a_worker_may_acquire_exactly_what_is_runnable() -> None:
    assert frozenset(TRANSITIONS["AcquireRun"]) == RUNNABLE


def test_architecture_holds_the_table() -> None:
    _, begin, rest = ARCHITECTURE.read_text(encoding="utf-8").partition(BEGIN)
    block, end, _ = rest.partition(END)
    assert begin
    assert end
    assert block.strip("\n") == render().strip("\n")
