"""The table: every command in every state, and the same text in ARCHITECTURE.md."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from service.domain.chat.calls import clients_calls
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
    open_call = b.an_answer(b.call())
    asks = b.an_answer(b.browse())
    asks[0] = b.created(client_tools=(b.BROWSER,))
    match of:
        case S.N:
            return [ChatState()]
        case S.W:
            return [
                b.state_of(*b.an_idle_chat()),
                b.state_of(*b.an_idle_chat(b.call())),
            ]
        case S.E0:
            return [b.state_of(*open_call, *fails)]
        case S.E1:
            return [
                b.state_of(*open_call, *waits, *fails),
                b.state_of(*open_call, *waits, *waits, *fails),
            ]
        case S.R0:
            shortens = b.a_compaction()
            return [b.state_of(*b.a_turn()), b.state_of(*asks), b.state_of(*shortens)]
        case S.R1:
            return [
                b.state_of(*b.a_turn(), *waits),
                b.state_of(*b.a_turn(), *waits, *waits),
                b.state_of(*asks, *waits),
                b.state_of(*b.a_compaction(), *waits),
            ]
        case S.I0:
            return [b.state_of(*b.a_turn(), b.interrupt_requested())]
        case S.I1:
            cut = [*b.a_turn(), b.interrupt_requested(), *waits]
            return [b.state_of(*cut), b.state_of(*cut, *waits)]
        case S.A0:
            return [b.state_of(*b.a_request())]
        case S.A1:
            waiting = [*b.a_request(), *waits]
            return [b.state_of(*waiting), b.state_of(*waiting, *waits)]
        case S.XW:
            return [b.archived(*b.an_idle_chat())]
        case S.XE0:
            return [b.archived(*open_call, *fails)]
        case S.XE1:
            return [b.archived(*open_call, *waits, *fails)]
        case S.INVALID:
            return [
                b.state_of(*b.an_idle_chat(), *waits),
                b.archived(*b.a_turn()),
                b.archived(*b.a_request(), *waits),
            ]


def command(row: str, state: ChatState) -> ChatCommand:
    """A command of this row that passes the fence of `state`, and does something."""
    epoch, episode = state.epoch, state.episode
    number = episode.attempt if episode else 1
    held = {"term": state.term or 1}
    last = state.queue[-1].id if state.queue else 1
    commands: dict[str, ChatCommand] = {
        "CreateChat": b.create(),
        "ForkChat": b.fork(),
        "SendMessage(queue)": b.send(),
        "SendMessage(interrupt)": b.send(busy="interrupt"),
        "EditMessage": b.edit(2),
        "DeleteQueued": b.delete_queued(last),
        "PromoteQueued": b.promote_queued(last),
        "Interrupt": b.interrupt(),
        "SubmitToolResults": b.submit(b.output()),
        "RequestCompaction": b.compact(),
        "Reconcile": b.reconcile(),
        "UpdateChat": b.update(title="another"),
        "UpdateChat(archive)": b.update(archived=True),
        "UpdateChat(unarchive)": b.update(archived=False),
        "NameChat": b.name_chat(),
        "ArchiveMember(archive)": b.archive_member(True),
        "ArchiveMember(unarchive)": b.archive_member(False),
        "MoveReadCursor": b.read(),
        "SpawnChild": b.spawn(),
        "AcquireRun": b.acquire(state.term + 1),
        "AbandonRun": b.abandon(**held),
        "StartAttempt": b.start_attempt(epoch, **held),
        "ScheduleRetry": b.schedule_retry(epoch, number, **held),
        "RequireAction": b.require_action(epoch, **held),
        "CancelToolCalls": b.cancel_calls(epoch, **held),
        "CommitStep": b.commit_step(epoch, attempt=number, **held),
        "CommitCompaction": b.commit_compaction(epoch, number, **held),
        "FinishInterruption": b.finish_interruption(epoch, **held),
        "FinishTurn": b.finish_turn(epoch, **held),
        "FinishError": b.finish_error(epoch, **held),
    }
    return commands[row]


def takes(row: str, state: ChatState) -> bool:
    """Whether more than the table lets it through: what the command is about exists."""
    asks = bool(clients_calls(state))
    match row:
        case "RequireAction":
            return asks
        case "CommitStep":
            return state.episode is not None and state.episode.kind != "compaction"
        case "CommitCompaction":
            return state.episode is not None and state.episode.kind == "compaction"
        case "ScheduleRetry":
            return state.episode is not None
        case _:
            return True


def changes(row: str, current: ExecutionState, state: ChatState) -> bool:
    """Whether what the command asks for is not so already."""
    match row:
        case "ArchiveMember(archive)":
            return current not in ARCHIVED
        case "ArchiveMember(unarchive)":
            return current in ARCHIVED
        case "PromoteQueued":
            # the head of a chat that is being interrupted is next anyway
            return current is not S.I1 or len(state.queue) > 1
        case _:
            return True


def refusal(row: str, state: ExecutionState) -> str:
    """The code that a refusal by the table carries."""
    archive = "already-archived" if state in ARCHIVED else "chat-active"
    match row:
        case _ if state is S.N:
            return "chat-not-found"
        case "CreateChat" | "ForkChat":
            return "chat-exists"
        case "Reconcile":
            return "state-valid"
        case _ if state is S.INVALID:
            return "invalid-state"
        case "UpdateChat(archive)" | "ArchiveMember(archive)":
            return archive
        case "UpdateChat(unarchive)" | "ArchiveMember(unarchive)":
            return "not-archived"
        case _ if state in ARCHIVED:
            return "chat-archived"
        case "Interrupt":
            return "nothing-to-interrupt"
        case "SubmitToolResults":
            return "no-action-required"
        case _:
            return "invalid-state"


CELLS = [(row, state) for row in TRANSITIONS for state in S]


@pytest.mark.parametrize(("row", "current"), CELLS)
def test_each_command_in_each_state_goes_where_the_table_says(
    row: str, current: ExecutionState
) -> None:
    reached: set[ExecutionState] = set()
    for state in states(current):
        decision = decide(state, command(row, state))
        if current not in TRANSITIONS[row]:
            assert isinstance(decision, Rejection)
            assert decision.code == refusal(row, current)
        elif takes(row, state):
            assert not isinstance(decision, Rejection), decision
            assert bool(decision) is changes(row, current, state)
            reached.add(classify(fold(state, decision)))
    assert reached == TRANSITIONS[row].get(current, frozenset())


@pytest.mark.parametrize("current", list(S))
def test_states_are_classified_as_they_were_built(current: ExecutionState) -> None:
    assert {classify(state) for state in states(current)} == {current}


def test_the_table_has_a_row_for_each_command() -> None:
    rows = {row.partition("(")[0] for row in TRANSITIONS}
    assert rows == {model.__name__ for model in get_args(ChatCommand)}
    assert row_name(b.send(busy="interrupt")) == "SendMessage(interrupt)"


def test_no_command_leads_to_invalid_and_only_reconcile_out_of_it() -> None:
    for name, row in TRANSITIONS.items():
        assert (S.INVALID in row) is (name == "Reconcile")
        assert all(S.INVALID not in targets for targets in row.values())


def test_archived_chats_take_only_what_brings_them_back_or_is_about_them() -> None:
    takers = {name for name, row in TRANSITIONS.items() if ARCHIVED & row.keys()}
    assert takers == {
        "UpdateChat",
        "UpdateChat(unarchive)",
        "ArchiveMember(archive)",
        "ArchiveMember(unarchive)",
        "NameChat",
        "MoveReadCursor",
        "AbandonRun",
    }


def test_a_worker_may_acquire_exactly_what_is_runnable() -> None:
    assert frozenset(TRANSITIONS["AcquireRun"]) == RUNNABLE


def test_architecture_holds_the_table() -> None:
    _, begin, rest = ARCHITECTURE.read_text(encoding="utf-8").partition(BEGIN)
    block, end, _ = rest.partition(END)
    assert begin
    assert end
    assert block.strip("\n") == render().strip("\n")
