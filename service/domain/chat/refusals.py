"""Why a command is refused before anybody looks at its content: table, then fence."""

from __future__ import annotations

from service.domain.chat.state import ChatState, ExecutionState, Holder
from service.domain.chat.transitions import ARCHIVED, TRANSITIONS, classify, row_name
from service.domain.commands.chat import (
    AbandonRun,
    ArchiveMember,
    ChatCommand,
    CreateChat,
    ForkChat,
    Interrupt,
    Reconcile,
    SubmitToolResults,
    UpdateChat,
    WorkerCommand,
)
from service.errors import Rejection


def refused(state: ChatState, command: ChatCommand) -> Rejection | None:
    """The refusal, or None for a command that its decider may look at."""
    return (
        _by_family(state, command)
        or _by_table(classify(state), command)
        or _by_fence(state, command)
    )


def stale(fact: str) -> Rejection:
    """The refusal of a worker that acts on what is no longer so."""
    return Rejection("stale-worker", f"{fact}; drop this work and reload")


def archived() -> Rejection:
    """The refusal of what an archived chat does not take."""
    return Rejection("chat-archived", "the chat is archived; unarchive it first")


def not_a_root(deed: str) -> Rejection:
    """The refusal of what is for the first chat of a family only."""
    return Rejection("not-a-root", f"a chat that another one spawned cannot {deed}")


def _by_family(state: ChatState, command: ChatCommand) -> Rejection | None:
    """A child goes where its root goes, so nobody asks how it is itself."""
    if state.is_root or not isinstance(command, UpdateChat):
        return None
    return None if command.archived is None else not_a_root("be archived by itself")


def _by_table(current: ExecutionState, command: ChatCommand) -> Rejection | None:
    name = row_name(command)
    if current in TRANSITIONS[name]:
        return None
    if current is ExecutionState.N:
        return Rejection("chat-not-found", "there is no such chat")
    match command:
        case CreateChat() | ForkChat():
            return Rejection("chat-exists", "a chat with this id exists already")
        case UpdateChat() | ArchiveMember() if command.archived is not None:
            return _not_archivable(current, archive=command.archived)
        case Reconcile():
            detail = f"the chat is in the legal state {current.value!r}; nothing to do"
            return Rejection("state-valid", detail)
        case _ if current in ARCHIVED:
            return archived()
        case Interrupt() if current is not ExecutionState.INVALID:
            return Rejection("nothing-to-interrupt", "no turn is running")
        case SubmitToolResults() if current is not ExecutionState.INVALID:
            return Rejection("no-action-required", "no tool call waits for a client")
        case _:
            return _invalid(name, current)


def _not_archivable(current: ExecutionState, *, archive: bool) -> Rejection:
    if current is ExecutionState.INVALID:
        return _invalid("archiving", current)
    if archive and current in ARCHIVED:
        return Rejection("already-archived", "the chat is archived already")
    if archive:
        detail = "the chat, or one of its family, is active; interrupt it or wait"
        return Rejection("chat-active", detail)
    return Rejection("not-archived", "the chat is not archived")


def _invalid(name: str, current: ExecutionState) -> Rejection:
    detail = f"{name} is not allowed in state {current.value!r}; reload the chat"
    return Rejection("invalid-state", detail)


def _by_fence(state: ChatState, command: ChatCommand) -> Rejection | None:
    if not isinstance(command, WorkerCommand):
        return None
    if state.holder != Holder(command.worker, command.term):
        held = f"held by {state.holder.worker!r}" if state.holder else "not held"
        detail = f"the chat is {held} at term {state.term}, not by {command.worker!r}"
        return stale(f"{detail} at term {command.term}")
    if not isinstance(command, AbandonRun) and state.epoch != command.epoch:
        return stale(f"the chat is at epoch {state.epoch}, expected {command.epoch}")
    return None
