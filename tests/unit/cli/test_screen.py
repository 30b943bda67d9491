"""Frames as text in a terminal."""

from __future__ import annotations

from io import StringIO
from typing import Any

from service.cli.screen import Screen
from service.client.client import Frame


def part(text: str, kind: str = "text", **fields: Any) -> Frame:
    live = {"type": kind, "text": text} if kind != "tool-call" else {"type": kind}
    data = {"epoch": 2, "attempt": 1, "seq": 1, "role": "assistant"}
    return Frame("1", "message_part", data | {"part": live | fields})


def message(role: str, *parts: dict[str, Any], **fields: Any) -> Frame:
    data = {"message": {"role": role, "content": list(parts)}} | fields
    return Frame("1", "message", data)


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def finished(outcome: str = "finished") -> Frame:
    return Frame("1", "turn_finished", {"turn_id": 2, "outcome": outcome})


def shown(*frames: Frame, **options: Any) -> str:
    out = StringIO()
    screen = Screen(out, **options)
    for frame in frames:
        screen.show(frame)
    return out.getvalue()


def test_what_was_streamed_is_not_shown_again_when_it_is_committed() -> None:
    replaced = {"replaces": {"epoch": 2, "attempt": 1}}
    assert (
        shown(
            message("user", text("hello")),
            part("Hi "),
            part("there"),
            message("assistant", text("Hi there"), **replaced),
            finished(),
        )
        == "> hello\nHi there\n"
    )


def test_the_end_of_a_message_may_come_with_its_commit() -> None:
    replaced = {"replaces": {"epoch": 2, "attempt": 1}}
    call = {"type": "tool-call", "tool_name": "clock", "tool_call_id": "c1", "args": {}}
    said = shown(
        part("Let me", "reasoning"),
        part("1"),
        message("assistant", {"type": "reasoning", "text": "Let me"},
                text("1 2"), text(" 3"), call, **replaced),
    )  # fmt: skip
    assert said == "Let me\n1 2 3\n[clock {}]\n"


def test_what_was_not_streamed_is_shown_when_it_is_committed() -> None:
    replaced = {"replaces": {"epoch": 2, "attempt": 2}}
    assert shown(message("assistant", text("Hi"), **replaced)) == "Hi\n"


def test_kinds_of_parts_stand_on_lines_of_their_own() -> None:
    call = {"tool_name": "clock", "args": {"zone": "UTC"}}
    result = {"type": "tool-result", "tool_name": "clock", "result": "noon"}
    assert (
        shown(
            part("I think", "reasoning"),
            part("Let me see"),
            part("", "tool-call", tool_name="clock", args_delta="{"),
            part("", "tool-call", **call),
            message("tool", result),
        )
        == 'I think\nLet me see\n[clock {"zone":"UTC"}]\n[clock: "noon"]\n'
    )


def test_a_dropped_answer_and_an_error_are_told() -> None:
    reset = Frame("1", "preview_reset", {"epoch": 2, "attempt": 1})
    error = Frame("1", "error", {"error": {"message": "no"}})
    said = shown(part("Hal"), reset, part("Half"), error, finished("failed"))
    assert said.splitlines() == [
        "Hal",
        "[that answer was dropped; another attempt follows]",
        "Half",
        "[error: no]",
        "[turn failed]",
    ]


def test_an_attempt_of_which_nothing_was_shown_is_dropped_without_a_word() -> None:
    reset = Frame("1", "preview_reset", {"epoch": 2, "attempt": 1})
    assert shown(reset) == ""


def test_a_retry_says_why_and_when() -> None:
    retry = {"attempt": 1, "delay_ms": 1500, "error": {"message": "too busy"}}
    assert shown(Frame("1", "retry", retry)) == "[too busy; again in 1.5 s]\n"


def test_calls_that_wait_for_a_person_are_told() -> None:
    call = {"tool_call_id": "c1", "tool_name": "ask", "args": {"what": "name"}}
    data = {"tool_calls": [call], "deadline": "2026-11-25T12:00:00Z"}
    told = '[waits for your answer to ask {"what":"name"} until 2026-11-25T12:00:00Z]\n'
    assert shown(Frame("1", "action_required", data)) == told
    snapshot = {"messages": [], "preview": None, "action_required": data}
    assert shown(Frame("1", "snapshot", snapshot)) == told


def test_what_an_edit_took_back_is_told() -> None:
    assert (
        shown(part("Hal"), Frame("1", "history_truncated", {"from_id": 2}))
        == "Hal\n[taken back: message 2 and all after it]\n"
    )


def test_a_message_that_waits_is_shown_once() -> None:
    def queue(*ids: int) -> Frame:
        queued = [{"id": id_, "content": [text(f"no {id_}")]} for id_ in ids]
        return Frame("1", "queue_update", {"queued_messages": queued})

    said = shown(queue(3), queue(3, 4), queue(4), queue())
    assert said == "[waits: no 3]\n[waits: no 4]\n"


def test_own_messages_are_left_out_where_they_were_typed() -> None:
    frames = message("user", text("hello")), message("assistant", text("Hi"))
    assert shown(*frames, echo_user=False) == "Hi\n"


def test_a_snapshot_shows_history_and_what_is_being_said() -> None:
    preview = {
        "epoch": 2, "attempt": 1, "seq": 1,
        "parts": [{"role": "assistant", "part": text("Hi ")}],
    }  # fmt: skip
    history = [{"role": "user", "content": [text("hello")]}]
    snapshot = Frame("1", "snapshot", {"messages": history, "preview": preview})
    committed = message("assistant", text("Hi you"), replaces=preview)
    assert shown(snapshot, part("you"), committed) == "> hello\nHi you\n"


def test_a_model_cannot_steer_the_terminal() -> None:
    assert shown(part("\x1b[2Jred\x07\ttab\nnext\u202e")) == "[2Jred\ttab\nnext"
