"""Any course that a chat can take: what people, clients and workers, also stale ones,
do to it.

An intent becomes a command when its turn comes, so that most fit the chat as it then
is, and short courses reach far.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from hypothesis import strategies as st

from service.domain.chat.calls import clients_calls, our_calls
from service.domain.chat.decide import decide
from service.domain.chat.evolve import evolve, fold
from service.domain.chat.state import ChatState
from service.domain.chat.transitions import RUNNABLE, TRANSITIONS, classify
from service.domain.commands.chat import (
    CancelToolCalls,
    ChatCommand,
    DraftMessage,
    Spent,
    UserCommand,
)
from service.domain.events.chat import AttemptKind, ChatEvent
from service.errors import Rejection
from tests import builders as b

Fault = Literal["none", "worker", "term", "epoch", "attempt"]
FAULTS: list[Fault] = ["worker", "term", "epoch", "attempt"]
SOUND: list[Fault] = ["none"] * 12

COMMON = {
    "CreateChat": 8,
    "CommitStep": 12,
    "CommitCompaction": 4,
    "RequestCompaction": 4,
    "FinishTurn": 3,
    "FinishInterruption": 4,
    "SubmitToolResults": 3,
    "EditMessage": 2,
    "UpdateChat(unarchive)": 3,
}
"""What a chat mostly goes through, so that histories grow."""

UNFENCED = {
    row
    for row in TRANSITIONS
    if row.partition("(")[0] in {model.__name__ for model in UserCommand.__args__}
}
"""What people ask for, and programs that hold nothing."""

IDS = [UUID(int=number) for number in range(1, 4)]


@dataclass(frozen=True)
class Intent:
    """What somebody is up to. `pick` chooses among the commands that the chat takes.

    `blind`: among all commands. `which`: the message, item or change that is meant.
    `fault`: what is wrong with a worker that is stale. `passes`: seconds since the
    intent before. `skew`: seconds by which this clock is off.
    """

    pick: int
    which: int = 0
    blind: bool = False
    fault: Fault = "none"
    drafts: tuple[DraftMessage, ...] = ()
    times: int = 1
    passes: int = 0
    skew: int = 0


DRAFTS: list[tuple[DraftMessage, ...]] = [
    (),
    (b.draft("hm"),),
    (b.draft(b.call("c1")),),
    (b.draft("hm", b.call("c1"), b.call("c2")),),
    (b.draft(b.call("c1"), b.call("c2")), b.draft(b.result("c2"), role="tool")),
    (b.draft(b.call("p1", provider_executed=True)), b.draft("hm")),
    (b.draft(b.call("c2")), b.draft("hm"), b.draft(b.call("c1"))),
    (b.draft(b.result("c1"), role="tool"),),
    (b.draft(b.result("c1"), role="tool"), b.draft(b.result("c2"), role="tool")),
    (b.draft(b.browse("c1")),),
    (b.draft("hm", b.browse("c1"), b.browse("c2")),),
    (b.draft(b.browse("c1"), b.call("c2")),),
]
"""Messages of a worker, whether they make sense or not; () is a default one."""

FORKED: list[list[ChatEvent]] = [
    b.an_idle_chat("hi", b.call()),
    [*b.a_turn(), b.queued()],
    b.a_request(),
    [*b.a_chat(), b.child_spawned(), b.pinned(), b.acquired(7)],
    b.a_compacted_chat(),
]
"""Chats that others fork; each ends at an append border."""


def intents() -> st.SearchStrategy[Intent]:
    return st.builds(
        Intent,
        pick=st.integers(0, 999),
        which=st.integers(0, 99),
        blind=st.sampled_from([False] * 9 + [True]),
        fault=st.sampled_from(SOUND + FAULTS),
        drafts=st.sampled_from(DRAFTS),
        times=st.sampled_from([0] + [1] * 14 + [12]),
        passes=st.sampled_from([0, 0, 1, 60]),
        skew=st.sampled_from([0, 0, 0, -2, 2]),
    )


# long, since most of what can go wrong needs a turn or two; shrunk by times=0
COURSES = st.lists(intents(), min_size=25, max_size=50)
PARKING = COURSES
"""Courses in which the chat also waits for its client: all do."""


@dataclass(frozen=True)
class Step:
    """One command, and what came of it."""

    before: ChatState
    command: ChatCommand
    decision: list[ChatEvent] | Rejection
    after: ChatState


@dataclass
class Course:
    """What became of a course: its steps, every event in order, the borders."""

    steps: list[Step] = field(default_factory=list)
    events: list[ChatEvent] = field(default_factory=list)
    borders: set[int] = field(default_factory=lambda: {0})
    state: ChatState = field(default_factory=ChatState)
    now: datetime = b.NOW


def run(course: list[Intent]) -> Course:
    told = Course()
    for intent in course:
        for _ in range(intent.times):
            _take(told, intent)
    return told


def replayed(events: list[ChatEvent]) -> list[ChatState]:
    """The state at every version, from 0 on."""
    states = [ChatState()]
    for event in events:
        states.append(evolve(states[-1], event))
    return states


def _take(told: Course, intent: Intent) -> None:
    before = told.state
    told.now += timedelta(seconds=intent.passes)
    command = _at(
        told.now + timedelta(seconds=intent.skew), command_for(intent, before)
    )
    decision = decide(before, command)
    after = before
    if not isinstance(decision, Rejection):
        told.events += decision
        after = fold(before, decision)
        told.borders.add(after.version)
    told.state = after
    told.steps.append(Step(before, command, decision, after))


def _at(now: datetime, command: ChatCommand) -> ChatCommand:
    """The command as given at this reading; who waits for a deadline has waited."""
    if isinstance(command, CancelToolCalls):
        now = max(now, command.now)
    return command.model_copy(update={"now": now})


def command_for(intent: Intent, state: ChatState) -> ChatCommand:
    current = classify(state)
    taken = [
        row
        for row, cells in TRANSITIONS.items()
        if current in cells
        for _ in range(COMMON.get(row, 1))
    ]
    rows = list(TRANSITIONS) if intent.blind or not taken else taken
    row = rows[intent.pick % len(rows)]
    if not intent.blind and row not in UNFENCED:
        row = _sensible(row, state)
    return _build(row, intent, state)


def _sensible(row: str, state: ChatState) -> str:
    """What a worker does before, or instead of, what it is up to."""
    if state.holder is None and classify(state) in RUNNABLE:
        return "AcquireRun"
    if row not in ("CommitStep", "CommitCompaction", "ScheduleRetry"):
        return row
    if state.episode is None:
        if clients_calls(state) and not our_calls(state):
            return "RequireAction"
        return "StartAttempt"
    if row == "ScheduleRetry":
        return row
    return "CommitCompaction" if state.episode.kind == "compaction" else "CommitStep"


Build = Callable[[Intent, ChatState], ChatCommand]


def _build(row: str, intent: Intent, state: ChatState) -> ChatCommand:
    if row in UNFENCED:
        return BUILDS[row](intent, state)
    if row == "AcquireRun":
        return b.acquire(state.term + (intent.fault != "term"))
    return _build_fenced(row, intent, state)


def _sought(ids: list[int], which: int) -> int:
    """One of the ids; sometimes one that does not exist."""
    known = [*ids, 9999]
    return known[which % len(known)]


def _messages(state: ChatState) -> list[int]:
    return [message.id for message in state.messages]


def _said(state: ChatState) -> list[int]:
    return [message.id for message in state.messages if message.role == "user"]


def _waiting(state: ChatState) -> list[int]:
    return [item.id for item in state.queue]


def _edit(intent: Intent, state: ChatState) -> ChatCommand:
    ids = _messages(state) if intent.which % 10 == 0 else _said(state)[-3:]
    return b.edit(_sought(ids, intent.which))


def _submit(intent: Intent, state: ChatState) -> ChatCommand:
    calls = state.action.calls if state.action else ()
    outputs = [b.output(call.tool_call_id) for call in calls]
    if intent.which % 10 == 0:
        outputs = outputs[1:]
    return b.submit(*outputs)


CHANGES: list[dict[str, Any]] = [
    {"title": "noon"},
    {"title": "night", "title_source": "model", "expected_title": "noon"},
    {"labels": {"k": "v"}},
    {"labels": {}},
    {"pin_key": "m"},
    {"pin_key": "t"},
    {"pin_key": ""},
    {"plan_mode": "plan"},
    {"plan_mode": ""},
    {"workspace_id": IDS[0]},
    {"workspace_id": None},
    {"model_config_id": IDS[1]},
    {"model_config_id": None},
    {"mcp_server_ids": (IDS[2],)},
    {"mcp_server_ids": ()},
    {"title": "dawn", "labels": {"k": "w"}, "pin_key": "b", "plan_mode": "plan"},
    {},
]


def _update(**fields: Any) -> Build:
    def build(intent: Intent, state: ChatState) -> ChatCommand:
        changes = CHANGES[intent.which % len(CHANGES)]
        return b.update(**fields, **(changes if not fields else {}))

    return build


def _name(intent: Intent, state: ChatState) -> ChatCommand:
    title = ["noon", "night", None, state.title][intent.which % 4]
    known = state.title if intent.which % 3 else "another"
    return b.name_chat(title, expected_title=known)


def _fork(intent: Intent, state: ChatState) -> ChatCommand:
    source = FORKED[intent.which % len(FORKED)]
    return b.fork(*source, owner_id=IDS[0])


def _read(intent: Intent, state: ChatState) -> ChatCommand:
    if intent.which % 3 == 0:
        return b.read()
    return b.read(_sought(_messages(state), intent.which))


BUILDS: dict[str, Build] = {
    "CreateChat": lambda i, s: b.create(client_tools=(b.BROWSER,)),
    "ForkChat": _fork,
    "SendMessage(queue)": lambda i, s: b.send(),
    "SendMessage(interrupt)": lambda i, s: b.send(busy="interrupt"),
    "EditMessage": _edit,
    "DeleteQueued": lambda i, s: b.delete_queued(_sought(_waiting(s), i.which)),
    "PromoteQueued": lambda i, s: b.promote_queued(_sought(_waiting(s), i.which)),
    "Interrupt": lambda i, s: b.interrupt(),
    "SubmitToolResults": _submit,
    "RequestCompaction": lambda i, s: b.compact(),
    "Reconcile": lambda i, s: b.reconcile(),
    "UpdateChat": _update(),
    "UpdateChat(archive)": _update(archived=True),
    "UpdateChat(unarchive)": _update(archived=False),
    "NameChat": _name,
    "ArchiveMember(archive)": lambda i, s: b.archive_member(True),
    "ArchiveMember(unarchive)": lambda i, s: b.archive_member(False),
    "MoveReadCursor": _read,
    "SpawnChild": lambda i, s: b.spawn(UUID(int=1000 + s.version)),
}


def _build_fenced(row: str, intent: Intent, state: ChatState) -> ChatCommand:
    fence = _fence(intent, state)
    match row:
        case "AbandonRun":
            return b.abandon(fence["term"], fence["worker"])
        case "StartAttempt":
            return b.start_attempt(kind=_kind(intent, state), **fence)
        case "ScheduleRetry":
            number = _attempt(intent, state)
            return b.schedule_retry(attempt=number, spent=_spent(intent), **fence)
        case "RequireAction":
            return b.require_action(**fence)
        case "CancelToolCalls":
            return b.cancel_calls(**_on_time(state) | fence)
        case "CommitStep":
            return _commit(intent, state, fence)
        case "CommitCompaction":
            attempt = _attempt(intent, state)
            return b.commit_compaction(fence.pop("epoch"), attempt, **fence)
        case "FinishInterruption":
            partial = intent.drafts if state.episode else ()
            return b.finish_interruption(fence.pop("epoch"), *partial, **fence)
        case "FinishTurn":
            return b.finish_turn(**fence, spent=_spent(intent))
        case "FinishError":
            return b.finish_error(**fence, spent=_spent(intent))
        case _:
            raise AssertionError(row)


def _spent(intent: Intent) -> Spent | None:
    """What an attempt took that left no message, now and then."""
    if intent.which % 3:
        return None
    return Spent(asked=b.ASKED, usage=b.usage(intent.which))


def _on_time(state: ChatState) -> dict[str, Any]:
    return {"now": state.action.deadline} if state.action else {}


def _kind(intent: Intent, state: ChatState) -> AttemptKind:
    """What the attempt is for, as the worker's next action has it.

    Now and then the prompt has become too long, which the chat does not say.
    """
    if our_calls(state):
        return "tools"
    if state.compaction is not None or intent.which % 5 == 0:
        return "compaction"
    return "model"


def _attempt(intent: Intent, state: ChatState) -> int:
    attempt = state.episode.attempt if state.episode else 1
    return attempt + (intent.fault == "attempt")


def _fence(intent: Intent, state: ChatState) -> dict[str, Any]:
    worker = state.holder.worker if state.holder else b.WORKER
    return {
        "worker": "nobody" if intent.fault == "worker" else worker,
        "term": state.term - (intent.fault == "term"),
        "epoch": state.epoch - (intent.fault == "epoch"),
    }


def _commit(intent: Intent, state: ChatState, fence: dict[str, Any]) -> ChatCommand:
    tools = state.episode is not None and state.episode.kind == "tools"
    return b.commit_step(
        fence.pop("epoch"),
        *intent.drafts,
        attempt=_attempt(intent, state),
        kind="tools" if tools else "model",
        usage=b.usage(intent.which),
        asked=b.ASKED,
        **fence,
    )
