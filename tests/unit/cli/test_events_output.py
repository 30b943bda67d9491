"""Events and differences as lines, and the end of an exported file."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from service import wire
from service.cli.export import BLOCK, Target, last_line, line_of
from service.cli.states import ABSENT, Difference, border_after, differences
from service.cli.timeline import BRIEF_CHARS, brief, chat_line, difference_lines
from service.eventstore.records import RecordedEvent, StreamName

STREAM = StreamName("chat", UUID(int=5))
BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def recorded(version: int, type_: str, append_last: int, **data: Any) -> RecordedEvent:
    return RecordedEvent(
        position=version + 100,
        stream=STREAM,
        version=version,
        append_last=append_last,
        type=type_,
        schema_version=1,
        data=data,
        metadata={"actor": "user:x"},
        recorded_at=BEGAN + timedelta(seconds=version),
        digest=b"d",
    )


@pytest.mark.parametrize(
    ("type_", "data", "said"),
    [
        ("chat_created", {"title": "a  title"}, "a title"),
        ("message_queued", {"parts": [{"type": "text", "text": "x\ny"}]}, "user: x y"),
        (
            "message_appended",
            {
                "role": "assistant",
                "queued_id": 7,
                "parts": [
                    {"type": "reasoning", "text": "hm"},
                    {"type": "tool-call", "tool_name": "clock"},
                ],
            },
            "assistant: [reasoning] [tool-call clock] [was queued as 7]",
        ),
        ("turn_failed", {"error": {"message": "\x1b[2Jno"}}, "[2Jno"),
        ("erased", {"was": "run_acquired", "usage": None}, '{"was":"run_acquired"}'),
        (
            "provider_changed",
            {"op": "insert", "row": {"display_name": "A", "kind": "openai"}},
            "insert A",
        ),
        (
            "compaction_threshold_changed",
            {"op": "update", "row": {"threshold_percent": 0}},
            "update 0",
        ),
        ("setting_changed", {"op": "delete", "row": {}}, '{"op":"delete","row":{}}'),
        # of another release, or not ours at all
        ("chat_created", {"name": 1}, '{"name":1}'),
        ("fireworks", {"at": "now"}, ""),
    ],
)  # fmt: skip
def test_what_an_event_says(type_: str, data: dict[str, Any], said: str) -> None:
    assert brief(type_, data) == said


def test_a_long_one_is_cut() -> None:
    said = brief("chat_created", {"title": "x" * 500})
    assert len(said) == BRIEF_CHARS
    assert said.endswith("x...")


def test_a_line_of_a_chat_tells_appends_and_pauses() -> None:
    first = recorded(1, "chat_created", 2, title="t")
    second = recorded(2, "message_appended", 2, role="user", parts=[])
    assert " | chat_created" in chat_line(first, None).plain
    line = chat_line(second, first.recorded_at).plain
    assert "+1.000s ' message_appended" in line
    assert line.endswith("(user:x)")


def test_differences_are_told_by_their_path() -> None:
    before = {"status": "running", "queue": {"7": {"text": "x"}}, "same": [1]}
    after = {"status": "waiting", "queue": {}, "same": [1], "error": None}
    found = [*differences(before, after)]
    assert found == [
        Difference("status", "running", "waiting"),
        Difference("queue.7", {"text": "x"}, ABSENT),
        Difference("error", ABSENT, None),
    ]
    assert found[2].plain() == {"path": "error", "after": None}
    assert [line.plain for line in difference_lines(found[:2])] == [
        "status", '  - "running"', '  + "waiting"', "queue.7", '  - {"text":"x"}',
    ]  # fmt: skip


def test_a_version_stands_for_the_end_of_its_append() -> None:
    events = [recorded(v, "x", last) for v, last in ((1, 2), (2, 2), (3, 3))]
    assert [border_after(events, v) for v in range(4)] == [0, 2, 2, 3]


@pytest.mark.parametrize(
    ("content", "kept", "last"),
    [
        (b"", b"", None),
        (b"torn", b"", None),
        (b"one\n", b"one\n", b"one"),
        (b"one\ntwo\nto", b"one\ntwo\n", b"two"),
        (b"x\n" + b"y" * 3 * BLOCK + b"\nto", b"x\n" + b"y" * 3 * BLOCK + b"\n", None),
        (b"x\n" + b"y" * 3 * BLOCK, b"x\n", b"x"),
    ],
)
def test_a_torn_line_is_cut(content: bytes, kept: bytes, last: bytes | None) -> None:
    file = io.BytesIO(content)
    line, end = last_line(file)
    assert end == len(kept)
    assert line == (last if last is not None or not kept else b"y" * 3 * BLOCK)
    target = Target(file, line, end)
    assert file.getvalue() == content
    target.cut()
    assert file.getvalue() == kept
    assert file.tell() == end


def test_a_line_is_the_public_event() -> None:
    line = line_of(recorded(3, "x", 3, n=1))
    assert line.endswith(b"\n")
    assert wire.loads(line)["version"] == 3
    assert "position" not in wire.loads(line)
