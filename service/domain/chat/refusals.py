"""Why a command is refused before anybody looks at its content: table, then fence."""

from __future__ import annotations

from service.domain.chat.state import ChatState, ExecutionState, Holder
from service.domain.chat.transitions import ARCHIVED, TRANSITIONS, classify, row_name
from service.domain.commands.chat import (
    AbandonRun,
    AcquireRun,
    ChatCommand,
    CreateChat,
    Interrupt,
    SendMessage,
)
from service.errors import Rejection


def refused(state: ChatState, command: ChatCommand) -> Rejection | None:
    """The refusal, or None for a command that its decider may look at."""
    return _by_table(classify(state), command) or _by_fence(state, command)


def stale(fact: str) -> Rejection:
    """The refusal of a worker that acts on what is no longer so."""
    return Rejection("stale-worker", f"{fact}; drop this work and reload")


def _by_table(current: ExecutionState, command: ChatCommand) -> Rejection | None:
    name = row_name(command)
    if current in TRANSITIONS[name]:
        return None
    if current is ExecutionState.N:
        return Rejection("chat-not-found", "there is no such chat")
    if isinstance(command, CreateChat):
        return Rejection("chat-exists", "a chat with this id exists already")
    if current in ARCHIVED:
        return Rejection("chat-archived", "the chat is archived; unarchive it first")
    if current is not ExecutionState.INVALID and isinstance(command, Interrupt):
        return Rejection("nothing-to-interrupt", "no turn is running")
    detail = f"{name} is not allowed in state {current.value!r}; reload the chat"
    return Rejection("invalid-state", detail)


def _by_fence(state: ChatState, command: ChatCommand) -> Rejection | None:
    match command:
        case CreateChat() | SendMessage() | Interrupt() | AcquireRun():
            return None
        case AbandonRun():
            epoch = state.epoch
        case _:
            epoch = command.epoch
    if state.holder != Holder(command.worker, command.term):
        held = f"held by {state.holder.worker!r}" if state.holder else "not held"
        detail = f"the chat is {held} at term {state.term}, not by {command.worker!r}"
        return stale(f"{detail} at term {command.term}")
    if state.epoch != epoch:
        return stale(f"the chat is at epoch {state.epoch}, expected {epoch}")
    return None
