"""What a command causes: events, or a Rejection. Pure; the table comes first.

After the table, the rules that hold across commands:

* a user message never follows an unanswered call: the answers come first, in the same
  append;
* a chat that waits has an empty queue: what ends a turn promotes the queue's head;
* a message that interrupts a busy chat goes through the queue, so that what had been
  said stands before it;
* a worker's command passes only with the holder's worker and term and the current
  epoch.
"""

from __future__ import annotations

from typing import assert_never

from service.domain.chat import users, workers
from service.domain.chat.refusals import refused
from service.domain.chat.state import ChatState
from service.domain.commands.chat import (
    AbandonRun,
    AcquireRun,
    ChatCommand,
    CommitStep,
    CreateChat,
    FinishError,
    FinishInterruption,
    FinishTurn,
    Interrupt,
    SendMessage,
    StartAttempt,
)
from service.domain.events.chat import ChatEvent, RunAbandoned, TurnFailed
from service.errors import Rejection

Decision = list[ChatEvent] | Rejection


def decide(state: ChatState, command: ChatCommand) -> Decision:
    """The events of one append, in order, or why there are none."""
    return refused(state, command) or _decide(state, command)


def _decide(state: ChatState, command: ChatCommand) -> Decision:
    match command:
        case CreateChat():
            return users.create(command)
        case SendMessage():
            return users.send(state, command)
        case Interrupt():
            return users.interrupt(state, command)
        case AcquireRun():
            return workers.acquire(state, command)
        case AbandonRun(now=now, worker=worker, term=term):
            return [RunAbandoned(at=now, worker=worker, term=term)]
        case StartAttempt():
            return workers.start_attempt(state, command)
        case CommitStep():
            return workers.commit_step(state, command)
        case FinishInterruption():
            return workers.finish_interruption(state, command)
        case FinishTurn():
            return workers.finish_turn(state, command)
        case FinishError(now=now, error=error):
            return [TurnFailed(at=now, turn_id=state.turn_id, error=error)]
        case _:
            assert_never(command)
