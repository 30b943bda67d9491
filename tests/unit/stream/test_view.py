"""Events as frames: which, in what order, and that they rebuild the state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service import wire
from service.domain.events.chat import ChatEvent
from service.stream.view import Frame, View, advance, see
from tests import builders as b


def show(*appends: Sequence[ChatEvent]) -> list[list[tuple[str, dict[str, Any]]]]:
    """The frames of each event, event by event."""
    view, shown = View(), []
    for append in appends:
        for number, event in enumerate(append, start=1):
            border = number == len(append)
            view, frames = see(view, b.CHAT, event, at_border=border)
            shown.append([read(frame) for frame in frames])
    return shown


def read(frame: Frame) -> tuple[str, dict[str, Any]]:
    event, data, end, rest = frame.body.split(b"\n")
    assert (end, rest) == (b"", b"")
    assert event == b"event: %b" % frame.name.encode()
    payload = wire.loads(data.removeprefix(b"data: "))
    assert payload["type"] == frame.name
    return frame.name, payload


def names(*appends: Sequence[ChatEvent]) -> list[list[str]]:
    return [[name for name, _ in frames] for frames in show(*appends)]


def test_a_new_chat_shows_itself_its_message_and_its_status() -> None:
    assert names(b.a_chat()) == [["chat_updated"], ["message", "status"]]


def test_what_is_for_the_model_only_is_not_shown() -> None:
    hidden = b.user("secret", role="system", visibility="model")
    assert names([b.created(), hidden, b.user()])[1] == []


def test_a_worker_at_work_shows_nothing_until_its_message() -> None:
    frames = names(b.a_chat(), [b.acquired()], [b.attempt(2)])
    assert frames[2:] == [[], []]


def test_a_message_names_the_preview_that_it_replaces() -> None:
    frames = show(b.a_chat(), [b.acquired()], [b.attempt(2)], b.an_answer()[4:])
    (name, data), *rest = frames[4]
    assert (name, rest) == ("message", [])
    assert data["replaces"] == {"epoch": 2, "attempt": 1}
    assert data["version"] == data["message"]["id"] == 5
    assert frames[5] == []


def test_a_turn_ends_after_its_status() -> None:
    frames = show(
        b.a_chat(), [b.acquired()], [b.attempt(2)], b.an_answer()[4:],
        [b.turn_finished()],
    )  # fmt: skip
    assert [name for name, _ in frames[-1]] == ["status", "turn_finished"]
    assert frames[-1][0][1]["status"] == "waiting"
    assert frames[-1][1][1]["turn_id"] == 2
    assert frames[-1][1][1]["outcome"] == "finished"


def test_a_failed_turn_resets_its_preview_and_says_why_before_it_ends() -> None:
    frames = show(b.a_chat(), [b.acquired()], [b.attempt(2)], [b.turn_failed()])
    assert [name for name, _ in frames[-1]] == [
        "preview_reset", "error", "status", "turn_finished",
    ]  # fmt: skip
    assert frames[-1][1][1]["error"]["kind"] == b.ERROR.kind
    assert frames[-1][3][1]["outcome"] == "failed"


def test_an_abandoned_attempt_resets_its_preview() -> None:
    frames = show(b.a_chat(), [b.acquired()], [b.attempt(2)], [b.attempt(2, 2)])
    assert [name for name, _ in frames[-1]] == ["preview_reset"]
    assert (frames[-1][0][1]["epoch"], frames[-1][0][1]["attempt"]) == (2, 1)


def test_an_interruption_keeps_the_partial_then_ends_the_turn() -> None:
    partial = b.assistant("he", epoch=2, attempt=1)
    finish = b.interruption_finished(turn_id=2, epoch=2, attempt=1)
    frames = names(
        b.a_chat(), [b.acquired()], [b.attempt(2)], [b.interrupt_requested()],
        [partial, finish],
    )  # fmt: skip
    assert frames[4:] == [["status"], ["message"], ["status", "turn_finished"]]


def test_an_interruption_with_nothing_said_resets_the_preview() -> None:
    finish = b.interruption_finished(turn_id=2, epoch=2, attempt=1)
    frames = names(
        b.a_chat(), [b.acquired()], [b.attempt(2)], [b.interrupt_requested()], [finish]
    )
    assert frames[-1] == ["preview_reset", "status", "turn_finished"]


def test_a_promoted_message_leaves_the_queue_and_the_status_alone() -> None:
    promoted = b.user("next", queued_id=7)
    frames = names(
        b.a_chat(), [b.acquired()], [b.attempt(2)], b.an_answer()[4:], [b.queued()],
        [b.turn_finished(), promoted],
    )  # fmt: skip
    assert frames[-3:] == [
        ["queue_update"],
        ["turn_finished"],
        ["message", "queue_update"],
    ]


def test_an_erased_event_shows_nothing() -> None:
    view, frames = see(View(), b.CHAT, None, at_border=True)
    assert (view.version, frames) == (1, [])


def test_advancing_without_frames_comes_to_the_same_view() -> None:
    view = shown = View()
    for event in [*b.an_idle_chat(), b.user("more"), b.attempt(8), b.turn_failed(8)]:
        view = advance(view, event, at_border=True)
        shown, _ = see(shown, b.CHAT, event, at_border=True)
        assert view == shown
