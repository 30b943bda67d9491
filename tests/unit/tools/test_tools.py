"""Calls become results, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest
from pydantic import JsonValue

from service import wire
from service.domain.events.data import encode_data
from service.domain.parts import ToolCallPart, ToolResultPart
from service.providers.provider import ToolSpec
from service.tools.clock import SPEC, clock
from service.tools.limits import LEAST_BYTES, UNKNOWN_BYTES
from service.tools.registry import Registry, Tool, ToolError
from tests.builders import NOW, call, tool


def registry(*tools: Tool) -> Registry:
    return Registry([clock(lambda: NOW), *tools], now=lambda: NOW)


def made(name: str, *, raises: BaseException | None = None, says: object = 1) -> Tool:
    async def run(_: Mapping[str, JsonValue]) -> JsonValue:
        if raises is not None:
            raise raises
        return says  # type: ignore[return-value]  # also what is no JSON

    return Tool(ToolSpec(name, "A tool of this test.", {}), run)


async def ran(tools: Registry, asked: ToolCallPart) -> ToolResultPart:
    return (await tools.run(asked, context_limit=None)).part


async def test_the_clock_tells_the_time_in_utc() -> None:
    answer = await ran(registry(), call("c1", "clock", args={}))
    assert answer == ToolResultPart(
        tool_call_id="c1",
        tool_name="clock",
        result={"now": "2026-03-01T12:00:00+00:00", "timezone": "UTC"},
        created_at=NOW,
    )


async def test_the_clock_tells_the_time_elsewhere() -> None:
    answer = await ran(registry(), call(args={"timezone": "Asia/Kolkata"}))
    assert answer.result == {
        "now": "2026-03-01T17:30:00+05:30",
        "timezone": "Asia/Kolkata",
    }


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "", 3, None])
async def test_the_clock_refuses_what_is_no_zone(zone: object) -> None:
    answer = await ran(registry(), call(args={"timezone": zone}))
    assert answer.is_error


@pytest.mark.parametrize("args", [None, [], "UTC", 3])
async def test_arguments_must_be_an_object(args: object) -> None:
    answer = await ran(registry(), call(args=args))
    assert answer.is_error
    assert answer.result == {"error": "invalid parameters: not a JSON object"}


async def test_an_unknown_tool_is_an_error_that_names_the_known_ones() -> None:
    answer = await ran(registry(), call("c1", "sextant"))
    assert answer.is_error
    assert answer.result == {"error": "unknown tool 'sextant'; there are: clock"}


async def test_what_a_tool_says_is_wrong_reaches_the_model() -> None:
    failing = made("t", raises=ToolError("no such file"))
    answer = await ran(registry(failing), call("c1", "t"))
    assert (answer.is_error, answer.result) == (True, {"error": "no such file"})


async def test_a_bug_in_a_tool_is_an_error_without_its_text() -> None:
    failing = made("t", raises=ZeroDivisionError("secret"))
    answer = await ran(registry(failing), call("c1", "t"))
    assert answer.is_error
    assert "secret" not in str(answer.result)


async def test_a_result_that_is_no_json_is_an_error() -> None:
    answer = await ran(registry(made("t", says=object())), call("c1", "t"))
    assert answer.is_error


async def test_cancellation_is_no_error() -> None:
    failing = made("t", raises=asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await ran(registry(failing), call("c1", "t"))


async def test_a_result_is_cut_to_what_the_model_can_bear() -> None:
    tools = registry(made("t", says={"page": "x" * 100_000}))
    cut = await tools.run(call("c1", "t"), context_limit=8000)
    assert cut.truncated
    assert len(wire.dumps(cut.part.result)) <= LEAST_BYTES
    whole = await tools.run(call("c1", "t"), context_limit=200_000)
    assert not whole.truncated
    assert whole.part.result == {"page": "x" * 100_000}


async def test_an_error_is_cut_too_and_stays_one() -> None:
    failing = made("t", raises=ToolError("y" * 100_000))
    cut = await registry(failing).run(call("c1", "t"), context_limit=None)
    assert cut.truncated
    assert cut.part.is_error
    assert isinstance(cut.part.result, dict)
    assert list(cut.part.result) == ["error"]


async def test_a_call_of_nonsense_has_no_long_answer() -> None:
    cut = await registry().run(call("c1", "z" * 100_000), context_limit=None)
    assert cut.truncated
    assert len(wire.dumps(cut.part.result)) <= UNKNOWN_BYTES


async def test_a_result_has_no_zeros_and_no_half_letters() -> None:
    says = {"a\x00": ["b\ud800", "c\ud83d\ude00"]}
    answer = await ran(registry(made("t", says=says)), call("c1", "t"))
    assert answer.result == {"a\ufffd": ["b\ufffd", "c\U0001f600"]}
    failed = made("t", raises=ToolError("d\x00\udfff"))
    answer = await ran(registry(failed), call("c1", "t"))
    assert answer.result == {"error": "d\ufffd\ufffd"}


@pytest.mark.parametrize("depth", [200, 230, 238, 245, 252, 300, 5000])
async def test_a_result_that_is_there_can_be_written(depth: int) -> None:
    """One that is too deep for the log is an error instead."""
    says: object = "x"
    for _ in range(depth):
        says = [says]
    answer = await ran(registry(made("t", says=says)), call("c1", "t"))
    assert answer.is_error is (depth > 238)
    wire.dumps(encode_data(tool(answer)))


@pytest.mark.parametrize(
    "says",
    [{1: 2}, {"a": {1, 2}}, 2**70, b"bytes", NotImplemented],
    ids=["key", "set", "number", "bytes", "object"],
)
async def test_what_is_no_json_is_the_tools_fault(says: object) -> None:
    answer = await ran(registry(made("t", says=says)), call("c1", "t"))
    assert answer.is_error


async def test_what_becomes_json_is_stored_as_such() -> None:
    says = {"pair": (1, 2), "none": float("nan")}
    answer = await ran(registry(made("t", says=says)), call("c1", "t"))
    assert answer.result == {"pair": [1, 2], "none": None}


def test_tools_that_end_a_turn_are_known() -> None:
    ends = replace(made("t"), stop_after=True)
    assert registry(ends, made("u")).stop_after == {"t"}
    assert registry().stop_after == frozenset()


def test_specs_are_listed_in_the_order_given() -> None:
    assert registry(made("b"), made("a")).specs() == (
        SPEC,
        made("b").spec,
        made("a").spec,
    )
