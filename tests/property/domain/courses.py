"""Any course that a chat can take: what people and workers, also stale ones, do to it.

An intent becomes a command when its turn comes, so that most fit the chat as it then
is, and short courses reach far.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from hypothesis import strategies as st

from service.domain.chat.calls import outstanding_calls
from service.domain.chat.decide import decide
from service.domain.chat.evolve import evolve, fold
from service.domain.chat.state import ChatState, Status
from service.domain.chat.transitions import RUNNABLE, TRANSITIONS, classify
from service.domain.commands.chat import ChatCommand, DraftMessage
from service.domain.events.chat import ChatEvent
from service.errors import Rejection
from tests import builders as b

Fault = Literal["none", "worker", "term", "epoch", "attempt"]
FAULTS: list[Fault] = ["worker", "term", "epoch", "attempt"]
SOUND: list[Fault] = ["none"] * 12

COMMON = {"CommitStep": 6, "FinishTurn": 2, "FinishInterruption": 2}
"""What a chat mostly goes through, so that histories grow."""

UNFENCED = {"CreateChat", "SendMessage(queue)", "SendMessage(interrupt)", "Interrupt"}


@dataclass(frozen=True)
class Intent:
    """What somebody is up to. `pick` chooses among the commands that the chat takes.

    `blind`: among all commands. `fault`: what is wrong with a worker that is stale.
    `park`: the chat waits for its client, if it can; no event says that yet.
    """

    pick: int
    blind: bool = False
    fault: Fault = "none"
    drafts: tuple[DraftMessage, ...] = ()
    times: int = 1
    park: bool = False


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
]
"""Messages of a worker, whether they make sense or not; () is a default one."""


def intents(*, parking: bool) -> st.SearchStrategy[Intent]:
    return st.builds(
        Intent,
        pick=st.integers(0, 99),
        blind=st.sampled_from([False] * 9 + [True]),
        fault=st.sampled_from(SOUND + FAULTS),
        drafts=st.sampled_from(DRAFTS),
        times=st.sampled_from([0] + [1] * 14 + [12]),
        park=st.sampled_from([False, True] if parking else [False]),
    )


# long, since most of what can go wrong needs a turn or two; shrunk by times=0
COURSES = st.lists(intents(parking=False), min_size=25, max_size=50)
PARKING = st.lists(intents(parking=True), min_size=25, max_size=50)
"""Courses in which the chat also waits for its client."""


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
    before = _park(told.state) if intent.park else told.state
    command = _command(intent, before)
    decision = decide(before, command)
    after = before
    if not isinstance(decision, Rejection):
        told.events += decision
        after = fold(before, decision)
        told.borders.add(after.version)
    told.state = after
    told.steps.append(Step(before, command, decision, after))


def _park(state: ChatState) -> ChatState:
    """The chat as it will be while its client works: a call waits, nothing runs."""
    waits = outstanding_calls(state.messages)
    if state.status is not Status.RUNNING or not waits or state.episode:
        return state
    return replace(state, status=Status.REQUIRES_ACTION)


def _command(intent: Intent, state: ChatState) -> ChatCommand:
    current = classify(state)
    taken = [
        row
        for row, cells in TRANSITIONS.items()
        if current in cells
        for _ in range(COMMON.get(row, 1))
    ]
    rows = list(TRANSITIONS) if intent.blind or not taken else taken
    row = rows[intent.pick % len(rows)]
    if intent.blind or row in UNFENCED:
        return _build(row, intent, state)
    if state.holder is None and current in RUNNABLE:
        return _build("AcquireRun", intent, state)
    if row == "CommitStep" and state.episode is None:
        return _build("StartAttempt", intent, state)
    return _build(row, intent, state)


def _build(row: str, intent: Intent, state: ChatState) -> ChatCommand:
    match row:
        case "CreateChat":
            return b.create()
        case "SendMessage(queue)":
            return b.send()
        case "SendMessage(interrupt)":
            return b.send(busy="interrupt")
        case "Interrupt":
            return b.interrupt()
        case "AcquireRun":
            return b.acquire(state.term + (intent.fault != "term"))
    return _build_fenced(row, intent, state)


def _build_fenced(row: str, intent: Intent, state: ChatState) -> ChatCommand:
    fence = _fence(intent, state)
    match row:
        case "AbandonRun":
            return b.abandon(fence["term"], fence["worker"])
        case "StartAttempt":
            return b.start_attempt(kind="model", **fence)
        case "CommitStep":
            return _commit(intent, state, fence)
        case "FinishInterruption":
            partial = intent.drafts if state.episode else ()
            return b.finish_interruption(fence.pop("epoch"), *partial, **fence)
        case "FinishTurn":
            return b.finish_turn(**fence)
        case _:
            return b.finish_error(**fence)


def _fence(intent: Intent, state: ChatState) -> dict[str, Any]:
    worker = state.holder.worker if state.holder else b.WORKER
    return {
        "worker": "nobody" if intent.fault == "worker" else worker,
        "term": state.term - (intent.fault == "term"),
        "epoch": state.epoch - (intent.fault == "epoch"),
    }


def _commit(intent: Intent, state: ChatState, fence: dict[str, Any]) -> ChatCommand:
    attempt = state.episode.attempt if state.episode else 1
    return b.commit_step(
        fence.pop("epoch"),
        *intent.drafts,
        attempt=attempt + (intent.fault == "attempt"),
        **fence,
    )
