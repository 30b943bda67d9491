"""Events, commands and states with good defaults, and deciders told as sentences.

    given(*a_turn()).when(send("and now?")).then(queued("and now?"))
    given().when(send("hello")).then_rejects("chat-not-found")

Defaults fit together: one owner, one worker `w1` at term 1, one instant `NOW`. Tools
are ours, but for `browser`, which a client runs; its time is up at `DEADLINE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from service.domain.chat.calls import outstanding_calls
from service.domain.chat.decide import Decision, decide
from service.domain.chat.evolve import fold
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
    DraftMessage,
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
    ToolOutput,
    UpdateChat,
)
from service.domain.events.chat import AttemptKind, BusyBehavior, ChatEvent, StepKind
from service.domain.parts import Part
from service.errors import Rejection
from tests.events import *  # noqa: F403  everything, so that tests import one module
from tests.events import (
    ACTOR,
    ASKED,
    CHAT,
    CHILD,
    DEADLINE,
    ERROR,
    NOW,
    ORGANIZATION,
    OWNER,
    RETRYING_AT,
    WORKER,
    action_required,
    an_idle_chat,
    chat_archived,
    said,
)

# commands


def create(*parts: Part | str, **fields: Any) -> CreateChat:
    given = {"organization_id": ORGANIZATION, "owner_id": OWNER, "title": "hello"}
    words = said(parts or ["hello"])
    return CreateChat(now=NOW, parts=words, **given | fields)


def send(
    *parts: Part | str, busy: BusyBehavior = "queue", **fields: Any
) -> SendMessage:
    words = said(parts or ["next"])
    given: dict[str, Any] = {"sender_id": OWNER, "busy_behavior": busy}
    return SendMessage(now=NOW, parts=words, **given | fields)


def interrupt(reason: str | None = None) -> Interrupt:
    return Interrupt(now=NOW, actor=ACTOR, reason=reason)


def fork(*events: ChatEvent, **fields: Any) -> ForkChat:
    given = {"owner_id": OWNER, "organization_id": ORGANIZATION, "actor": ACTOR}
    given |= {"source_chat_id": CHAT, "events": events or tuple(an_idle_chat())}
    return ForkChat(now=NOW, **given | fields)


def edit(message_id: int, *parts: Part | str, **fields: Any) -> EditMessage:
    given: dict[str, Any] = {"parts": said(parts or ["rather"]), "sender_id": OWNER}
    return EditMessage(now=NOW, message_id=message_id, **given | fields)


def delete_queued(queued_id: int) -> DeleteQueued:
    return DeleteQueued(now=NOW, actor=ACTOR, queued_id=queued_id)


def promote_queued(queued_id: int) -> PromoteQueued:
    return PromoteQueued(now=NOW, actor=ACTOR, queued_id=queued_id)


def output(call_id: str = "c1", value: Any = "seen", **fields: Any) -> ToolOutput:
    return ToolOutput(tool_call_id=call_id, output=value, **fields)


def submit(*results: ToolOutput) -> SubmitToolResults:
    return SubmitToolResults(now=NOW, actor=ACTOR, results=results)


def compact() -> RequestCompaction:
    return RequestCompaction(now=NOW, actor=ACTOR)


def reconcile() -> Reconcile:
    return Reconcile(now=NOW, actor=ACTOR)


def update(**fields: Any) -> UpdateChat:
    return UpdateChat(now=NOW, actor=ACTOR, **fields)


def name_chat(title: str | None = "noon", **fields: Any) -> NameChat:
    """A model thought of a title for a chat that is still called hello."""
    given: dict[str, Any] = {"asked": ASKED, "expected_title": "hello"}
    return NameChat(now=NOW, actor=ACTOR, title=title, **given | fields)


def archive_member(archived: bool) -> ArchiveMember:
    return ArchiveMember(now=NOW, actor=ACTOR, archived=archived)


def read(message_id: int | None = None) -> MoveReadCursor:
    return MoveReadCursor(now=NOW, actor=ACTOR, message_id=message_id)


def spawn(child_id: UUID = CHILD) -> SpawnChild:
    return SpawnChild(now=NOW, actor=ACTOR, child_id=child_id)


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
    return DraftMessage(role=role, parts=said(parts or ["hi"]), **fields)


def commit_step(
    epoch: int,
    *messages: DraftMessage,
    attempt: int = 1,
    kind: StepKind = "model",
    **fields: Any,
) -> CommitStep:
    return CommitStep(
        attempt=attempt,
        kind=kind,
        messages=messages or (draft(),),
        **_fence(epoch, fields),
    )


def commit_compaction(epoch: int, attempt: int = 1, **fields: Any) -> CommitCompaction:
    given = {"summary": "Go on from here. So far: hello", "shown": "hello"}
    given |= {"source": "automatic"}
    return CommitCompaction(attempt=attempt, **_fence(epoch, given | fields))


def finish_interruption(
    epoch: int, *partial: DraftMessage, **fields: Any
) -> FinishInterruption:
    return FinishInterruption(partial=partial, **_fence(epoch, fields))


def finish_turn(epoch: int, **fields: Any) -> FinishTurn:
    return FinishTurn(**_fence(epoch, fields))


def finish_error(epoch: int, **fields: Any) -> FinishError:
    return FinishError(**_fence(epoch, {"error": ERROR} | fields))


def schedule_retry(epoch: int, attempt: int = 1, **fields: Any) -> ScheduleRetry:
    wait: dict[str, Any] = {"delay_ms": 1000, "retrying_at": RETRYING_AT}
    return ScheduleRetry(
        attempt=attempt, **_fence(epoch, wait | {"error": ERROR} | fields)
    )


def require_action(epoch: int, **fields: Any) -> RequireAction:
    return RequireAction(**_fence(epoch, {"deadline": DEADLINE} | fields))


def cancel_calls(epoch: int, **fields: Any) -> CancelToolCalls:
    """Given when the client's time is up."""
    return CancelToolCalls(**_fence(epoch, {"now": DEADLINE} | fields))


# states


def state_of(*events: ChatEvent | None) -> ChatState:
    return fold(ChatState(), events)


def parked(*events: ChatEvent) -> ChatState:
    """The chat waits for its client's results, whosever the tools are."""
    state = state_of(*events)
    return fold(state, [action_required(*outstanding_calls(state.messages))])


def archived(*events: ChatEvent) -> ChatState:
    """The chat is archived, whatever it does."""
    return state_of(*events, chat_archived())


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
