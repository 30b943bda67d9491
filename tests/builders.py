"""Events, commands and states with good defaults, and deciders told as sentences.

    given(*a_turn()).when(send("and now?")).then(queued("and now?"))
    given().when(send("hello")).then_rejects("chat-not-found")

Defaults fit together: one owner, one worker `w1` at term 1, one instant `NOW`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service.domain.chat.decide import Decision, decide
from service.domain.chat.evolve import fold
from service.domain.chat.state import ChatState, Status
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
    AttemptKind,
    BusyBehavior,
    ChatCreated,
    ChatError,
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
from service.domain.parts import Part, TextPart, ToolCallPart, ToolResultPart
from service.errors import Rejection

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CHAT = UUID(int=0xC4A7)
OWNER = UUID(int=0x0E)
ORGANIZATION = UUID(int=0x06)
WORKER = "w1"
ERROR = ChatError(message="the model is away", kind="timeout", retryable=True)

# parts


def text(words: str = "hello") -> TextPart:
    return TextPart(text=words)


def call(call_id: str = "c1", tool: str = "clock", **fields: Any) -> ToolCallPart:
    return ToolCallPart(
        tool_call_id=call_id, tool_name=tool, **{"args": {}, "created_at": NOW} | fields
    )


def result(call_id: str = "c1", tool: str = "clock", **fields: Any) -> ToolResultPart:
    return ToolResultPart(
        tool_call_id=call_id,
        tool_name=tool,
        **{"result": "noon", "created_at": NOW} | fields,
    )


def _parts(parts: Sequence[Part | str]) -> tuple[Part, ...]:
    return tuple(text(part) if isinstance(part, str) else part for part in parts)


# events


def created(**fields: Any) -> ChatCreated:
    given = {"organization_id": ORGANIZATION, "owner_id": OWNER, "title": "hello"}
    return ChatCreated(at=NOW, **given | fields)


def user(*parts: Part | str, **fields: Any) -> MessageAppended:
    """A user's message enters the history."""
    given = {"role": "user", "created_by": OWNER, "parts": _parts(parts or ["hello"])}
    return MessageAppended(at=NOW, **given | fields)


def assistant(*parts: Part | str, **fields: Any) -> MessageAppended:
    given = {"role": "assistant", "parts": _parts(parts or ["hi"])}
    return MessageAppended(at=NOW, **given | fields)


def tool(*parts: Part, **fields: Any) -> MessageAppended:
    given = {"role": "tool", "parts": parts or (result(),)}
    return MessageAppended(at=NOW, **given | fields)


def cancelled(call_id: str = "c1", *, because: Any) -> MessageAppended:
    """The answer that decide gives to a call which gets no other."""
    return tool(result(call_id, result=because, is_error=True))


def queued(*parts: Part | str, busy: BusyBehavior = "queue") -> MessageQueued:
    said = _parts(parts or ["next"])
    return MessageQueued(at=NOW, parts=said, created_by=OWNER, busy_behavior=busy)


def acquired(term: int = 1, worker: str = WORKER) -> RunAcquired:
    return RunAcquired(at=NOW, worker=worker, term=term)


def abandoned(term: int = 1, worker: str = WORKER) -> RunAbandoned:
    return RunAbandoned(at=NOW, worker=worker, term=term)


def attempt(
    epoch: int, number: int = 1, kind: AttemptKind = "model"
) -> GenerationAttemptStarted:
    return GenerationAttemptStarted(at=NOW, epoch=epoch, attempt=number, kind=kind)


def committed(
    epoch: int, number: int = 1, kind: AttemptKind = "model", **fields: Any
) -> StepCommitted:
    return StepCommitted(at=NOW, epoch=epoch, attempt=number, kind=kind, **fields)


def interrupt_requested(
    actor: str = str(OWNER), reason: str | None = None
) -> InterruptRequested:
    return InterruptRequested(at=NOW, actor=actor, reason=reason)


def interruption_finished(**fields: Any) -> InterruptionFinished:
    return InterruptionFinished(at=NOW, **fields)


def turn_finished(turn_id: int | None = 2, **fields: Any) -> TurnFinished:
    return TurnFinished(at=NOW, turn_id=turn_id, **fields)


def turn_failed(turn_id: int | None = 2, error: ChatError = ERROR) -> TurnFailed:
    return TurnFailed(at=NOW, turn_id=turn_id, error=error)


def a_chat() -> list[ChatEvent]:
    """R0, held by nobody; turn and epoch are 2, version 2."""
    return [created(), user()]


def a_turn() -> list[ChatEvent]:
    """R0, held by the worker, attempt 1 of epoch 2 is open; version 4."""
    return [*a_chat(), acquired(), attempt(2)]


def an_answer(*parts: Part | str) -> list[ChatEvent]:
    """R0, the model has answered and nothing is open; epoch 5, version 6."""
    return [*a_turn(), assistant(*parts, epoch=2, attempt=1), committed(2)]


def an_idle_chat(*parts: Part | str) -> list[ChatEvent]:
    """W after one whole turn; version 7, still held."""
    return [*an_answer(*parts), turn_finished()]


# commands


def create(*parts: Part | str, **fields: Any) -> CreateChat:
    given = {"organization_id": ORGANIZATION, "owner_id": OWNER, "title": "hello"}
    said = _parts(parts or ["hello"])
    return CreateChat(now=NOW, parts=said, **given | fields)


def send(
    *parts: Part | str, busy: BusyBehavior = "queue", **fields: Any
) -> SendMessage:
    said = _parts(parts or ["next"])
    given: dict[str, Any] = {"sender_id": OWNER, "busy_behavior": busy}
    return SendMessage(now=NOW, parts=said, **given | fields)


def interrupt(reason: str | None = None) -> Interrupt:
    return Interrupt(now=NOW, actor=str(OWNER), reason=reason)


def acquire(term: int = 1, worker: str = WORKER) -> AcquireRun:
    return AcquireRun(now=NOW, worker=worker, term=term)


def abandon(term: int = 1, worker: str = WORKER) -> AbandonRun:
    return AbandonRun(now=NOW, worker=worker, term=term)


def _fence(epoch: int, fields: dict[str, Any]) -> dict[str, Any]:
    return {"now": NOW, "worker": WORKER, "term": 1, "epoch": epoch} | fields


def start_attempt(
    epoch: int, kind: AttemptKind = "model", **fields: Any
) -> StartAttempt:
    return StartAttempt(kind=kind, **_fence(epoch, fields))


def draft(*parts: Part | str, role: Any = "assistant", **fields: Any) -> DraftMessage:
    return DraftMessage(role=role, parts=_parts(parts or ["hi"]), **fields)


def commit_step(
    epoch: int,
    *messages: DraftMessage,
    attempt: int = 1,
    kind: AttemptKind = "model",
    **fields: Any,
) -> CommitStep:
    return CommitStep(
        attempt=attempt,
        kind=kind,
        messages=messages or (draft(),),
        **_fence(epoch, fields),
    )


def finish_interruption(
    epoch: int, *partial: DraftMessage, **fields: Any
) -> FinishInterruption:
    return FinishInterruption(partial=partial, **_fence(epoch, fields))


def finish_turn(epoch: int, **fields: Any) -> FinishTurn:
    return FinishTurn(**_fence(epoch, fields))


def finish_error(epoch: int, **fields: Any) -> FinishError:
    return FinishError(**_fence(epoch, {"error": ERROR} | fields))


# states


def state_of(*events: ChatEvent | None) -> ChatState:
    return fold(ChatState(), events)


def parked(*events: ChatEvent) -> ChatState:
    """The chat waits for its client's results; no event leads there yet."""
    return replace(state_of(*events), status=Status.REQUIRES_ACTION)


def archived(*events: ChatEvent) -> ChatState:
    """The chat is archived; no event leads there yet."""
    return replace(state_of(*events), archived=True)


# sentences


def given(*events: ChatEvent) -> Given:
    return Given(state_of(*events))


def given_state(state: ChatState) -> Given:
    return Given(state)


@dataclass(frozen=True)
class Given:
    """A chat to which something has happened."""

    state: ChatState

    def when(self, command: ChatCommand) -> Outcome:
        return Outcome(self.state, decide(self.state, command))


@dataclass(frozen=True)
class Outcome:
    """What a command caused."""

    before: ChatState
    decision: Decision

    @property
    def events(self) -> list[ChatEvent]:
        assert not isinstance(self.decision, Rejection), self.decision
        return self.decision

    @property
    def state(self) -> ChatState:
        """The state after the events."""
        return fold(self.before, self.events)

    def then(self, *expected: ChatEvent) -> Outcome:
        assert self.events == list(expected)
        return self

    def then_rejects(self, code: str) -> Rejection:
        assert isinstance(self.decision, Rejection), self.decision
        assert self.decision.code == code, self.decision
        return self.decision
