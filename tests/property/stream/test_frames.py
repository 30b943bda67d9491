"""What frames promise, for any course that a chat takes: they rebuild the chat."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings

from service import wire
from service.domain.chat.evolve import evolve
from service.domain.chat.state import ChatState
from service.domain.events.chat import ChatEvent
from service.stream.snapshot import snapshot
from service.stream.view import Frame, View, see, view_at
from tests.builders import CHAT
from tests.property.domain.courses import COURSES, Course, Intent, run
from tests.reducer import ChatOnScreen

COURSE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

MOVING = ("status", "last_error", "updated_at", "version")
"""Of a header what other frames tell: they come without a new header."""


def data(frame: Frame) -> dict[str, Any]:
    line = frame.body.split(b"\n")[1]
    told: dict[str, Any] = wire.loads(line.removeprefix(b"data: "))
    return told


def show(screen: ChatOnScreen, frames: list[Frame]) -> None:
    for frame in frames:
        screen.take(frame.name, data(frame))


def fresh(state: ChatState) -> ChatOnScreen:
    """A client that has just come."""
    screen = ChatOnScreen()
    told = wire.loads(wire.dumps(snapshot(CHAT, state)))
    screen.take("snapshot", {**told, "preview": None})
    return screen


def header(screen: ChatOnScreen) -> dict[str, Any]:
    return {k: v for k, v in (screen.chat or {}).items() if k not in MOVING}


def same(screen: ChatOnScreen, other: ChatOnScreen) -> None:
    """Both show the same; who came later has the newest messages only."""
    assert header(screen) == header(other)
    newest = dict(list(screen.messages.items())[-len(other.messages) :])
    assert (newest if other.messages else {}) == other.messages
    for name in ("status", "error", "queue", "action", "retry"):
        assert getattr(screen, name) == getattr(other, name), name


def states(told: Course) -> list[tuple[ChatEvent, ChatState, bool]]:
    state, passed = ChatState(), []
    for event in told.events:
        state = evolve(state, event)
        passed.append((event, state, state.version in told.borders))
    return passed


@COURSE
@given(COURSES)
def test_frames_from_the_start_show_what_a_fresh_client_sees(
    course: list[Intent],
) -> None:
    view, screen = View(), ChatOnScreen()
    for event, state, border in states(run(course)):
        view, frames = see(view, CHAT, event, at_border=border)
        show(screen, frames)
        if border:
            same(screen, fresh(state))


@COURSE
@given(COURSES)
def test_a_snapshot_and_the_frames_after_it_show_the_same(
    course: list[Intent],
) -> None:
    passed = states(run(course))
    middle = len(passed) // 2
    while middle < len(passed) and not passed[middle - 1][2]:
        middle += 1
    if not 0 < middle < len(passed):
        return
    begun = passed[middle - 1][1]
    view, screen = view_at(begun), fresh(begun)
    for event, state, border in passed[middle:]:
        view, frames = see(view, CHAT, event, at_border=border)
        show(screen, frames)
        if border:
            same(screen, fresh(state))


@COURSE
@given(COURSES)
def test_every_turn_that_began_ends_once_or_runs(course: list[Intent]) -> None:
    view, began, ended = View(), [], []
    for event, _, border in states(run(course)):
        view, frames = see(view, CHAT, event, at_border=border)
        for frame in frames:
            told = data(frame)
            if frame.name == "message" and told["message"]["role"] == "user":
                began.append(told["message"]["id"])
            if frame.name == "turn_finished" and told["turn_id"] is not None:
                ended.append(told["turn_id"])
    running = [] if view.chat.turn_id is None else [view.chat.turn_id]
    assert sorted(ended + running) == began
