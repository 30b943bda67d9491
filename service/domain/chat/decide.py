"""What a command causes: events, or a Rejection. Pure; the table comes first.

After the table, the rules that hold across commands:

* a user message never follows an unanswered call: the answers come first, in the same
  append;
* a chat that waits has an empty queue: what ends a turn promotes the queue's head;
* a message that interrupts a busy chat goes through the queue, so that what had been
  said stands before it;
* whatever ends the wait for a client answers the calls that waited;
* what is about a chat, such as its title, never touches its turn;
* a worker's command passes only with the holder's worker and term and the current
  epoch.
"""

from __future__ import annotations

from typing import assert_never

from service.domain.chat import compaction, edits, metadata, users, workers
from service.domain.chat.refusals import refused
from service.domain.chat.state import ChatState
from service.domain.commands.chat import (
    AbandonRun,
    AcquireRun,
    ArchiveMember,
    CancelToolCalls,
    ChatCommand,
    CommitCompaction,
    CommitStep,
    CreateChat,
    DeleteQueued,
    EditMessage,
    FinishError,
    FinishInterruption,
    FinishTurn,
    ForkChat,
    Interrupt,
    MoveReadCursor,
    NameChat,
    PromoteQueued,
    Reconcile,
    RequestCompaction,
    RequireAction,
    ScheduleRetry,
    SendMessage,
    SpawnChild,
    StartAttempt,
    SubmitToolResults,
    UpdateChat,
    UserCommand,
    WorkerCommand,
)
from service.domain.events.chat import ChatEvent, RunAbandoned
from service.errors import Rejection

Decision = list[ChatEvent] | Rejection


def decide(state: ChatState, command: ChatCommand) -> Decision:
    """The events of one append, in order, or why there are none.

    No events: what was asked for is so already.
    """
    return refused(state, command) or _decide(state, command)


def _decide(state: ChatState, command: ChatCommand) -> Decision:
    if isinstance(command, AcquireRun):
        return workers.acquire(state, command)
    if isinstance(command, WorkerCommand):
        return _by_worker(state, command)
    return _by_user(state, command)


def _by_user(state: ChatState, command: UserCommand) -> Decision:
    match command:
        case CreateChat():
            return users.create(command)
        case ForkChat():
            return users.fork(command)
        case SendMessage():
            return users.send(state, command)
        case EditMessage():
            return edits.edit(state, command)
        case DeleteQueued():
            return edits.delete_queued(state, command)
        case PromoteQueued():
            return edits.promote_queued(state, command)
        case Interrupt():
            return users.interrupt(state, command)
        case SubmitToolResults():
            return users.submit_tool_results(state, command)
        case RequestCompaction():
            return users.request_compaction(state, command)
        case Reconcile():
            return users.reconcile(state, command)
        case UpdateChat():
            return metadata.update(state, command)
        case NameChat():
            return metadata.name_chat(state, command)
        case ArchiveMember():
            return metadata.archive_member(state, command)
        case MoveReadCursor():
            return metadata.move_read_cursor(state, command)
        case SpawnChild():
            return metadata.spawn_child(state, command)
        case _:
            assert_never(command)


def _by_worker(state: ChatState, command: WorkerCommand) -> Decision:
    match command:
        case AbandonRun(now=now, worker=worker, term=term):
            return [RunAbandoned(at=now, worker=worker, term=term)]
        case StartAttempt():
            return workers.start_attempt(state, command)
        case ScheduleRetry():
            return workers.schedule_retry(state, command)
        case RequireAction():
            return workers.require_action(state, command)
        case CancelToolCalls():
            return workers.cancel_tool_calls(state, command)
        case CommitStep():
            return workers.commit_step(state, command)
        case CommitCompaction():
            return compaction.commit(state, command)
        case FinishInterruption():
            return workers.finish_interruption(state, command)
        case FinishTurn():
            return workers.finish_turn(state, command)
        case FinishError():
            return workers.finish_error(state, command)
        case _:
            assert_never(command)
