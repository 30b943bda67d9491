"""What an interruption keeps of a cut-off attempt."""

from __future__ import annotations

from typing import Any

import pytest

from service.agent.partial import partial
from service.domain.commands.chat import DraftMessage
from service.domain.parts import (
    Part,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    public_part,
)
from tests.builders import NOW, call, result

Row = dict[str, Any]


def row(role: str = "assistant", **part: Any) -> Row:
    return {"role": role, "part": part}


def said(text: str) -> Row:
    return row(type="text", text=text)


def thought(text: str, at: str = "2026-03-01T12:00:00Z") -> Row:
    return row(type="reasoning", text=text, created_at=at)


def typed(args_delta: str, call_id: str = "c1") -> Row:
    return row(
        type="tool-call", tool_call_id=call_id, tool_name="clock", args_delta=args_delta
    )


def whole(part: Part, role: str = "assistant") -> Row:
    return {"role": role, "part": public_part(part)}


def assistant(*parts: Part) -> DraftMessage:
    return DraftMessage(role="assistant", parts=parts)


def test_nothing_said_is_nothing_kept() -> None:
    assert partial([], now=NOW) == ()
    assert partial([said(""), typed("")], now=NOW) == ()


def test_deltas_are_joined_in_order() -> None:
    rows = [thought("let "), thought("me see"), said("1"), said(" 2"), said(" 3")]
    begun = NOW
    reasoning = ReasoningPart(text="let me see", created_at=begun, completed_at=NOW)
    assert partial(rows, now=NOW) == (assistant(reasoning, TextPart(text="1 2 3")),)


def test_text_after_reasoning_is_a_part_of_its_own() -> None:
    rows = [said("a"), thought("b"), said("c")]
    (message,) = partial(rows, now=NOW)
    assert [part.type for part in message.parts] == ["text", "reasoning", "text"]


def test_reasoning_that_began_again_is_another_part() -> None:
    rows = [thought("a"), thought("b", "2026-03-01T12:00:01Z")]
    (message,) = partial(rows, now=NOW)
    assert [part.type for part in message.parts] == ["reasoning", "reasoning"]


def test_arguments_that_are_whole_make_a_call() -> None:
    rows = [said("look"), typed('{"timezone": '), typed('"UTC"}')]
    made = ToolCallPart(
        tool_call_id="c1",
        tool_name="clock",
        args={"timezone": "UTC"},
        created_at=NOW,
    )
    assert partial(rows, now=NOW) == (assistant(TextPart(text="look"), made),)


@pytest.mark.parametrize("half", ["", "{", '{"timezone": "U', '{"a": 1} {"b"'])
def test_half_a_call_is_dropped(half: str) -> None:
    rows = [said("look"), typed(half)]
    assert partial(rows, now=NOW) == (assistant(TextPart(text="look")),)


def test_a_whole_call_beats_its_deltas_and_keeps_their_place() -> None:
    rows = [typed("{"), said("and"), whole(call(args={"timezone": "UTC"}))]
    (message,) = partial(rows, now=NOW)
    assert message.parts == (call(args={"timezone": "UTC"}), TextPart(text="and"))


def test_interleaved_calls_are_told_apart() -> None:
    rows = [typed("{", "a"), typed("[", "b"), typed("}", "a"), typed("]", "b")]
    (message,) = partial(rows, now=NOW)
    args = [part.args for part in message.parts if isinstance(part, ToolCallPart)]
    assert args == [{}, []]


def test_results_become_tool_messages_where_they_came() -> None:
    rows = [whole(call()), whole(result(), role="tool"), said("so")]
    assert partial(rows, now=NOW) == (
        assistant(call()),
        DraftMessage(role="tool", parts=(result(),)),
        assistant(TextPart(text="so")),
    )


def test_results_alone_are_kept() -> None:
    """A tool batch that was cut off: its calls were committed before."""
    rows = [whole(result("c2"), role="tool"), whole(result("c1"), role="tool")]
    kept = partial(rows, now=NOW)
    assert [message.role for message in kept] == ["tool", "tool"]
    assert all(isinstance(message.parts[0], ToolResultPart) for message in kept)


def test_parts_of_a_newer_release_are_passed_over() -> None:
    rows = [said("a"), row(type="hologram", frames=3), row(type="text"), said("b")]
    assert partial(rows, now=NOW) == (assistant(TextPart(text="ab")),)


def test_what_the_vendor_executed_stays_in_the_answer() -> None:
    search = call("s1", provider_executed=True)
    found = result("s1", provider_executed=True)
    page = SourcePart(source_id="p", url="https://example.org")
    rows = [
        said("let me look"),
        whole(search),
        whole(found, role="tool"),
        whole(page),
        said("there it is"),
    ]
    (message,) = partial(rows, now=NOW)
    assert message == assistant(
        TextPart(text="let me look"), search, found, page, TextPart(text="there it is")
    )


def test_what_the_vendor_was_executing_is_dropped() -> None:
    rows = [said("let me look"), whole(call("s1", provider_executed=True))]
    assert partial(rows, now=NOW) == (assistant(TextPart(text="let me look")),)


def test_arguments_that_name_a_thing_twice_are_half_a_call() -> None:
    assert partial([typed('{"a": 1, "a": 2}')], now=NOW) == ()
