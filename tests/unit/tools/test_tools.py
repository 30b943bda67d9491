"""Calls become results, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from pydantic import JsonValue

from service.domain.parts import ToolResultPart
from service.providers.provider import ToolSpec
from service.tools.clock import SPEC, clock
from service.tools.registry import Registry, Tool, ToolError
from tests.builders import NOW, call


def registry(*tools: Tool) -> Registry:
    return Registry([clock(lambda: NOW), *tools], now=lambda: NOW)


def made(name: str, *, raises: BaseException | None = None, says: object = 1) -> Tool:
    async def run(_: Mapping[str, JsonValue]) -> JsonValue:
        if raises is not None:
            raise raises
        return says  # type: ignore[return-value]  # also what is no JSON

    return Tool(ToolSpec(name, "A tool of this test.", {}), run)


async def test_the_clock_tells_the_time_in_utc() -> None:
    answer = await registry().run(call("c1", "clock", args={}))
    assert answer == ToolResultPart(
        tool_call_id="c1",
        tool_name="clock",
        result={"now": "2026-03-01T12:00:00+00:00", "timezone": "UTC"},
        created_at=NOW,
    )


async def test_the_clock_tells_the_time_elsewhere() -> None:
    answer = await registry().run(call(args={"timezone": "Asia/Kolkata"}))
    assert answer.result == {
        "now": "2026-03-01T17:30:00+05:30",
        "timezone": "Asia/Kolkata",
    }


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "", 3, None])
async def test_the_clock_refuses_what_is_no_zone(zone: object) -> None:
    answer = await registry().run(call(args={"timezone": zone}))
    assert answer.is_error


@pytest.mark.parametrize("args", [None, [], "UTC", 3])
async def test_arguments_must_be_an_object(args: object) -> None:
    answer = await registry().run(call(args=args))
    assert answer.is_error
    assert answer.result == {"error": "invalid parameters: not a JSON object"}


async def test_an_unknown_tool_is_an_error_that_names_the_known_ones() -> None:
    answer = await registry().run(call("c1", "sextant"))
    assert answer.is_error
    assert answer.result == {"error": "unknown tool 'sextant'; there are: clock"}


async def test_what_a_tool_says_is_wrong_reaches_the_model() -> None:
    tool = made("t", raises=ToolError("no such file"))
    answer = await registry(tool).run(call("c1", "t"))
    assert (answer.is_error, answer.result) == (True, {"error": "no such file"})


async def test_a_bug_in_a_tool_is_an_error_without_its_text() -> None:
    tool = made("t", raises=ZeroDivisionError("secret"))
    answer = await registry(tool).run(call("c1", "t"))
    assert answer.is_error
    assert "secret" not in str(answer.result)


async def test_a_result_that_is_no_json_is_an_error() -> None:
    answer = await registry(made("t", says=object())).run(call("c1", "t"))
    assert answer.is_error


async def test_cancellation_is_no_error() -> None:
    tool = made("t", raises=asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await registry(tool).run(call("c1", "t"))


def test_specs_are_listed_in_the_order_given() -> None:
    assert registry(made("b"), made("a")).specs() == (
        SPEC,
        made("b").spec,
        made("a").spec,
    )
