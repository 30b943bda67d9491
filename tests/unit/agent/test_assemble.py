"""Deltas into live parts and into the message that is committed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from pydantic import JsonValue

from service import wire
from service.agent.assemble import Assembly
from service.agent.partial import partial
from service.domain.events.chat import Usage
from service.domain.events.data import encode_data
from service.domain.parts import (
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from service.providers.provider import (
    BlockEnd,
    Delta,
    Finish,
    Opened,
    ReasoningDelta,
    Source,
    TextDelta,
    ToolCall,
    ToolInputDelta,
    ToolInputStart,
    ToolResult,
    UsageReport,
)
from service.providers.texts import clean, clean_json
from tests.builders import NOW, assistant


def ticking() -> Callable[[], datetime]:
    """A clock that is a second later at each reading, first `NOW`."""
    readings = iter(range(1000))
    return lambda: NOW + timedelta(seconds=next(readings))


def assembled(*deltas: Delta) -> Assembly:
    assembly = Assembly(ticking())
    for delta in deltas:
        assembly.take(delta)
    return assembly


def test_blocks_become_parts_with_their_stamps() -> None:
    answer = assembled(
        ReasoningDelta("let "),
        ReasoningDelta("me see"),
        BlockEnd({"signature": "s"}),
        TextDelta("It is"),
        TextDelta(" noon"),
        Finish("stop"),
    )
    assert answer.parts() == (
        ReasoningPart(
            text="let me see",
            created_at=NOW,
            completed_at=NOW + timedelta(seconds=1),
            provider_metadata={"signature": "s"},
        ),
        TextPart(text="It is noon"),
    )
    assert answer.finish_reason == "stop"


def test_a_block_ends_when_another_kind_begins() -> None:
    answer = assembled(TextDelta("a"), ReasoningDelta("b"), TextDelta("c"))
    assert [part.type for part in answer.parts()] == ["text", "reasoning", "text"]


def test_an_ended_block_is_not_continued() -> None:
    answer = assembled(TextDelta("a"), BlockEnd(), TextDelta("b"))
    assert answer.parts() == (TextPart(text="a"), TextPart(text="b"))


def test_a_call_is_stamped_when_it_is_whole() -> None:
    answer = assembled(
        ToolInputStart("c1", "clock"),
        ToolInputDelta("c1", "clock", "{}"),
        ToolCall("c1", "clock", {}),
    )
    (part,) = answer.parts()
    assert part == ToolCallPart(
        tool_call_id="c1", tool_name="clock", args={}, created_at=NOW
    )


def test_followers_see_deltas_and_whole_calls() -> None:
    assembly = Assembly(ticking())
    assert assembly.take(TextDelta("a")) == {"type": "text", "text": "a"}
    assert assembly.take(ReasoningDelta("b")) == {
        "type": "reasoning",
        "text": "b",
        "created_at": "2026-03-01T12:00:02.000000Z",
    }
    assert assembly.take(ToolInputStart("c1", "clock")) is None
    assert assembly.take(ToolInputDelta("c1", "clock", "{")) == {
        "type": "tool-call",
        "tool_call_id": "c1",
        "tool_name": "clock",
        "args_delta": "{",
    }
    whole = assembly.take(ToolCall("c1", "clock", {"timezone": "UTC"}))
    assert whole is not None
    assert whole["args"] == {"timezone": "UTC"}
    assert "args_delta" not in whole
    assert assembly.take(Finish("stop")) is None


def test_the_last_usage_counts() -> None:
    first, last = Usage(output_tokens=1), Usage(output_tokens=7)
    assert assembled(UsageReport(first), UsageReport(last)).usage == last


def test_blocks_without_text_are_left_out() -> None:
    assert assembled(TextDelta(""), BlockEnd(), ReasoningDelta("")).parts() == ()


def test_reasoning_without_text_is_kept_for_its_signature() -> None:
    answer = assembled(ReasoningDelta(""), BlockEnd({"signature": "s"}))
    (part,) = answer.parts()
    assert isinstance(part, ReasoningPart)
    assert part.provider_metadata == {"signature": "s"}


def test_live_parts_of_a_whole_answer_are_worth_the_answer() -> None:
    """An interruption at the very end keeps what a commit would have."""
    deltas: list[Delta] = [
        ReasoningDelta("hm"),
        TextDelta("a"),
        TextDelta("b"),
        ToolInputDelta("c1", "clock", "{}"),
        ToolCall("c1", "clock", {}),
    ]
    assembly = Assembly(lambda: NOW)
    live = [assembly.take(delta) for delta in deltas]
    rows = [{"role": "assistant", "part": part} for part in live if part]
    (kept,) = partial(rows, now=NOW)
    assert kept.parts == assembly.parts()


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain", "plain"),
        ("a\x00b", "a\ufffdb"),
        ("\ud83d\ude00", "\U0001f600"),
        ("half \ud83d", "half \ufffd"),
        ("\u00e9\x00", "\u00e9\ufffd"),
    ],
)
def test_what_postgres_refuses_is_replaced(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned
    assert clean_json({text: [text, 1, None]}) == {cleaned: [cleaned, 1, None]}
    wire.dumps(clean(text))


def test_arguments_nested_too_deep_are_left_out() -> None:
    args: JsonValue = []
    for _ in range(5000):
        args = [args]
    (part,) = assembled(ToolCall("c1", "clock", args)).parts()
    assert isinstance(part, ToolCallPart)
    assert part.args is None


@pytest.mark.parametrize("depth", [230, 238, 245, 252, 254])
def test_arguments_that_are_there_can_be_written(depth: int) -> None:
    args: JsonValue = 1
    for _ in range(depth):
        args = [args]
    parts = assembled(ToolCall("c1", "clock", args)).parts()
    wire.dumps(encode_data(assistant(*parts)))


def test_what_the_vendor_executed_and_found_is_part_of_the_answer() -> None:
    assembly = Assembly(ticking())
    live = [
        assembly.take(delta)
        for delta in (
            Opened(),
            TextDelta("a"),
            ToolCall("s1", "web_search", {"q": "x"}, provider_executed=True),
            ToolResult("s1", "web_search", {"hits": 1}, provider_metadata={"k": "v"}),
            Source("p1", "https://example.org", "A page"),
            TextDelta("b"),
            Finish("stop"),
        )
    ]
    text, called, result, source, more = assembly.parts()
    assert (text, more) == (TextPart(text="a"), TextPart(text="b"))
    assert isinstance(called, ToolCallPart)
    assert called.provider_executed
    assert isinstance(result, ToolResultPart)
    assert result.provider_executed
    assert result.result == {"hits": 1}
    assert result.provider_metadata == {"k": "v"}
    assert result.created_at is not None
    assert called.created_at is not None
    assert result.created_at > called.created_at
    assert source == SourcePart(
        source_id="p1", url="https://example.org", title="A page"
    )
    assert [part and part["type"] for part in live] == [
        None, "text", "tool-call", "tool-result", "source", "text", None,
    ]  # fmt: skip
    shown = live[3]
    assert shown is not None
    assert "provider_metadata" not in shown


def test_the_vendors_final_word_is_kept_as_it_can_be_stored() -> None:
    answer = assembled(Finish("stop", {"id": "r1", "note": "a\x00b"}))
    assert answer.response == {"id": "r1", "note": "a\ufffdb"}
    assert assembled(Finish("stop")).response is None
    deep: JsonValue = []
    for _ in range(5000):
        deep = [deep]
    assert assembled(Finish("stop", {"deep": deep})).response is None
