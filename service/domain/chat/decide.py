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

from service.domain.chat.calls import (
    CUT_OFF,
    REPLACED,
    SENT_OVER,
    STOPPED,
    answer,
    outstanding,
    outstanding_calls,
    since_last_user,
)
from service.domain.chat.state import (
    ChatState,
    Episode,
    ExecutionState,
    Holder,
    QueuedMessage,
    Status,
)
from service.domain.chat.transitions import (
    ARCHIVED,
    TRANSITIONS,
    classify,
    row_name,
)
from service.domain.commands.chat import (
    AbandonRun,
    AcquireRun,
    ChatCommand,
    CommitStep,
    CreateChat,
    DraftMessage,
    FinishError,
    FinishInterruption,
    FinishTurn,
    Interrupt,
    SendMessage,
    StartAttempt,
)
from service.domain.events.chat import (
    ChatCreated,
    ChatEvent,
    GenerationAttemptStarted,
    InterruptionFinished,
    InterruptRequested,
    MessageAppended,
    MessageQueued,
    RunAbandoned,
    RunAcquired,
    StepCommitted,
    TurnFailed,
    TurnFinished,
)
from service.domain.parts import TextPart
from service.domain.times import Instant
from service.errors import Rejection

MAX_QUEUED = 20
"""Messages that may wait in one chat; more than a person queues by hand."""

Decision = list[ChatEvent] | Rejection


def decide(state: ChatState, command: ChatCommand) -> Decision:
    """The events of one append, in order, or why there are none."""
    refused = _refused_by_table(classify(state), command)
    if refused is None:
        refused = _refused_by_fence(state, command)
    return _decide(state, command) if refused is None else refused


def _decide(state: ChatState, command: ChatCommand) -> Decision:
    match command:
        case CreateChat():
            return _create(command)
        case SendMessage():
            return _send(state, command)
        case Interrupt():
            return _interrupt(state, command)
        case AcquireRun():
            return _acquire(state, command)
        case AbandonRun(now=now, worker=worker, term=term):
            return [RunAbandoned(at=now, worker=worker, term=term)]
        case StartAttempt():
            return _start_attempt(state, command)
        case CommitStep():
            return _commit_step(state, command)
        case FinishInterruption():
            return _finish_interruption(state, command)
        case FinishTurn():
            return _finish_turn(state, command)
        case FinishError(now=now, error=error):
            return [TurnFailed(at=now, turn_id=state.turn_id, error=error)]
        case _:
            assert_never(command)


def _refused_by_table(
    current: ExecutionState, command: ChatCommand
) -> Rejection | None:
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


def _refused_by_fence(state: ChatState, command: ChatCommand) -> Rejection | None:
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
        return _stale(f"{detail} at term {command.term}")
    if state.epoch != epoch:
        return _stale(f"the chat is at epoch {state.epoch}, expected {epoch}")
    return None


def _stale(fact: str) -> Rejection:
    return Rejection("stale-worker", f"{fact}; drop this work and reload")


def _create(command: CreateChat) -> list[ChatEvent]:
    now = command.now
    created = ChatCreated(
        at=now,
        organization_id=command.organization_id,
        owner_id=command.owner_id,
        title=command.title,
        client_type=command.client_type,
        labels=command.labels,
    )
    message = MessageAppended(
        at=now,
        role="user",
        parts=command.parts,
        created_by=command.owner_id,
        settings=command.settings,
    )
    return [created, *_system_prompt(command), message]


def _system_prompt(command: CreateChat) -> list[MessageAppended]:
    if not command.system_prompt:
        return []
    parts = (TextPart(text=command.system_prompt),)
    return [
        MessageAppended(at=command.now, role="system", visibility="model", parts=parts)
    ]


def _send(state: ChatState, command: SendMessage) -> Decision:
    if not state.queue and state.status in (Status.WAITING, Status.ERROR):
        message = MessageAppended(
            at=command.now,
            role="user",
            parts=command.parts,
            created_by=command.sender_id,
            settings=command.settings,
        )
        return [*_answers(state, command.now), message]
    if len(state.queue) >= MAX_QUEUED:
        detail = f"the queue holds its maximum of {MAX_QUEUED} messages"
        return Rejection("queue-full", f"{detail}; wait until the chat takes one")
    queued = MessageQueued(
        at=command.now,
        parts=command.parts,
        created_by=command.sender_id,
        settings=command.settings,
        busy_behavior=command.busy_behavior,
    )
    if state.status is Status.ERROR:
        return [queued, *_promote(state, command.now)]
    return _send_busy(state, command, queued)


def _send_busy(
    state: ChatState, command: SendMessage, queued: MessageQueued
) -> list[ChatEvent]:
    if command.busy_behavior == "queue" or state.status is Status.INTERRUPTING:
        return [queued]
    requested = InterruptRequested(
        at=command.now, actor=str(command.sender_id), reason="new user message"
    )
    return [*_cancel_client_calls(state, SENT_OVER, command.now), queued, requested]


def _interrupt(state: ChatState, command: Interrupt) -> list[ChatEvent]:
    requested = InterruptRequested(
        at=command.now, actor=command.actor, reason=command.reason
    )
    reason = command.reason or STOPPED
    return [*_cancel_client_calls(state, reason, command.now), requested]


def _acquire(state: ChatState, command: AcquireRun) -> Decision:
    if command.term <= state.term:
        return _stale(f"term {command.term} is not higher than {state.term}")
    return [RunAcquired(at=command.now, worker=command.worker, term=command.term)]


def _start_attempt(state: ChatState, command: StartAttempt) -> list[ChatEvent]:
    return [
        GenerationAttemptStarted(
            at=command.now,
            epoch=state.epoch,
            attempt=state.attempt + 1,
            kind=command.kind,
        )
    ]


def _commit_step(state: ChatState, command: CommitStep) -> Decision:
    episode = state.episode
    asked = (command.epoch, command.attempt, command.kind)
    if episode is None or (episode.epoch, episode.attempt, episode.kind) != asked:
        return _stale(f"attempt {asked!r} is not the open one")
    committed = StepCommitted(
        at=command.now,
        epoch=command.epoch,
        attempt=command.attempt,
        kind=command.kind,
        usage=command.usage,
        runtime_ms=command.runtime_ms,
        finish_reason=command.finish_reason,
        model=command.model,
    )
    return [*_drafts(command.messages, episode, command.now), committed]


def _finish_interruption(state: ChatState, command: FinishInterruption) -> Decision:
    now, episode = command.now, state.episode
    if episode is None and command.partial:
        return _stale("no attempt is open that a partial could come from")
    partial = _drafts(command.partial, episode, now) if episode else []
    cut_off = outstanding([*since_last_user(state.messages), *partial])
    finished = InterruptionFinished(
        at=now,
        turn_id=state.turn_id,
        epoch=episode.epoch if episode else None,
        attempt=episode.attempt if episode else None,
    )
    answers = answer(cut_off, result=CUT_OFF, now=now)
    return [*partial, *answers, finished, *_promoted(state, now)]


def _finish_turn(state: ChatState, command: FinishTurn) -> list[ChatEvent]:
    finished = TurnFinished(
        at=command.now, turn_id=state.turn_id, reason=command.reason
    )
    return [finished, *_promote(state, command.now)]


def _promote(state: ChatState, now: Instant) -> list[ChatEvent]:
    """The head of the queue as a message, after answers to what is still open."""
    return [*_answers(state, now), *_promoted(state, now)] if state.queue else []


def _promoted(state: ChatState, now: Instant) -> list[MessageAppended]:
    return [_from_queue(item, now) for item in state.queue[:1]]


def _from_queue(item: QueuedMessage, now: Instant) -> MessageAppended:
    return MessageAppended(
        at=now,
        role="user",
        parts=item.parts,
        created_by=item.created_by,
        settings=item.settings,
        queued_id=item.id,
    )


def _answers(state: ChatState, now: Instant) -> list[MessageAppended]:
    return answer(outstanding_calls(state.messages), result=REPLACED, now=now)


def _cancel_client_calls(
    state: ChatState, reason: str, now: Instant
) -> list[MessageAppended]:
    if state.status is not Status.REQUIRES_ACTION:
        return []
    return answer(outstanding_calls(state.messages), result=reason, now=now)


def _drafts(
    drafts: tuple[DraftMessage, ...], episode: Episode, now: Instant
) -> list[MessageAppended]:
    return [
        MessageAppended(
            at=now,
            role=draft.role,
            visibility=draft.visibility,
            parts=draft.parts,
            epoch=episode.epoch,
            attempt=episode.attempt,
        )
        for draft in drafts
    ]
