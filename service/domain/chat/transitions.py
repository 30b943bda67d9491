"""Which command may be given in which state, and where it leads: the one table.

`decide` consults it first; the matrix test runs every cell; ARCHITECTURE.md holds what
`render` prints. A state that a row does not name refuses the command.

Ownership is apart: a chat in any state may have a holder or none, and a worker's
command must also pass the fence in `decide`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from service.domain.chat.state import ChatState, ExecutionState, Status
from service.domain.commands.chat import (
    ArchiveMember,
    ChatCommand,
    SendMessage,
    UpdateChat,
)

S = ExecutionState

Row = Mapping[ExecutionState, frozenset[ExecutionState]]

RUNNABLE = frozenset({S.R0, S.R1, S.I0, S.I1, S.A0, S.A1})
"""A worker should hold a chat in these; in A* to keep the client's deadline."""

ARCHIVED = frozenset({S.XW, S.XE0, S.XE1})


def _row(**arrows: str) -> Row:
    """`W_E0="R0"` reads: from W and from E0 to R0."""
    return MappingProxyType(
        {
            ExecutionState(source): frozenset(map(ExecutionState, targets.split()))
            for sources, targets in arrows.items()
            for source in sources.split("_")
        }
    )


def _stay(states: str) -> Row:
    return _row(**{state: state for state in states.split()})


EVERYWHERE = "W E0 E1 R0 R1 I0 I1 A0 A1 XW XE0 XE1"

TRANSITIONS: Mapping[str, Row] = MappingProxyType(
    {
        "CreateChat": _row(N="R0"),
        "ForkChat": _row(N="W"),
        "SendMessage(queue)": _row(
            W_E0="R0", E1="R1", R0_R1="R1", I0_I1="I1", A0_A1="A1"
        ),
        "SendMessage(interrupt)": _row(
            W_E0="R0", E1="R1", R0_R1="I1", I0_I1="I1", A0_A1="R1"
        ),
        "EditMessage": _row(W_E0_E1_R0_R1_I0_I1_A0_A1="R0"),
        "DeleteQueued": _row(E1="E0 E1", R1="R0 R1", I1="I0 I1", A1="A0 A1"),
        "PromoteQueued": _row(E1_A1="R0 R1", R1_I1="I1"),
        "Interrupt": _row(R0="I0", R1="I1", A0="R0", A1="R1"),
        "SubmitToolResults": _row(A0="R0", A1="R1"),
        "RequestCompaction": _row(W_E0="R0", E1="R1"),
        "Reconcile": _row(Invalid="E0 E1"),
        "UpdateChat": _stay(EVERYWHERE),
        "UpdateChat(archive)": _row(W="XW", E0="XE0", E1="XE1"),
        "UpdateChat(unarchive)": _row(XW="W", XE0="E0", XE1="E1"),
        "NameChat": _stay(EVERYWHERE),
        "ArchiveMember(archive)": _row(W_XW="XW", E0_XE0="XE0", E1_XE1="XE1"),
        "ArchiveMember(unarchive)": _row(W_XW="W", E0_XE0="E0", E1_XE1="E1"),
        "MoveReadCursor": _stay(EVERYWHERE),
        "SpawnChild": _stay("R0 R1"),
        "AcquireRun": _stay("R0 R1 I0 I1 A0 A1"),
        "AbandonRun": _stay(EVERYWHERE),
        "StartAttempt": _stay("R0 R1"),
        "ScheduleRetry": _stay("R0 R1"),
        "RequireAction": _row(R0="A0", R1="A1"),
        "CancelToolCalls": _row(A0="R0", A1="R1"),
        "CommitStep": _stay("R0 R1"),
        "CommitCompaction": _stay("R0 R1"),
        "FinishInterruption": _row(I0="W", I1="R0 R1"),
        "FinishTurn": _row(R0="W", R1="R0 R1"),
        "FinishError": _row(W_R0="E0", R1="E1"),
    }
)


def row_name(command: ChatCommand) -> str:
    """The row of the table that a command belongs to."""
    name = type(command).__name__
    match command:
        case SendMessage():
            return f"{name}({command.busy_behavior})"
        case UpdateChat(archived=None):
            return name
        case UpdateChat() | ArchiveMember():
            return f"{name}({'archive' if command.archived else 'unarchive'})"
        case _:
            return name


def classify(state: ChatState) -> ExecutionState:
    """One of the 13 states, or INVALID; meant for append borders."""
    if not state.exists:
        return S.N
    queued = bool(state.queue)
    if state.archived:
        return _classify_archived(state.status, queued)
    match state.status:
        case Status.WAITING:
            return S.INVALID if queued else S.W
        case Status.ERROR:
            return S.E1 if queued else S.E0
        case Status.RUNNING:
            return S.R1 if queued else S.R0
        case Status.INTERRUPTING:
            return S.I1 if queued else S.I0
        case Status.REQUIRES_ACTION:
            return S.A1 if queued else S.A0


def _classify_archived(status: Status, queued: bool) -> ExecutionState:
    if status is Status.ERROR:
        return S.XE1 if queued else S.XE0
    if status is Status.WAITING and not queued:
        return S.XW
    return S.INVALID


def render() -> str:
    """The table as text: a row per command, a column per state, `.` is a refusal."""
    states = list(S)
    head = ["command", *(state.value for state in states)]
    body = [
        [name, *("/".join(sorted(row.get(state, ()))) or "." for state in states)]
        for name, row in TRANSITIONS.items()
    ]
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    lines = [head, ["-" * width for width in widths], *body]
    return "".join(f"| {' | '.join(_pad(line, widths))} |\n" for line in lines)


def _pad(cells: list[str], widths: list[int]) -> list[str]:
    return [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
