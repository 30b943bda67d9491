"""What holds for every vendor: requests, tool calls, usage, closing."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from service.domain.events.chat import Usage
from service.domain.parts import ReasoningPart
from service.providers.provider import (
    Delta,
    Finish,
    ModelRequest,
    Opened,
    ProviderError,
    TextDelta,
    ToolCall,
    ToolInputDelta,
    ToolSpec,
    UsageReport,
)
from tests.builders import (
    assistant,
    call,
    created,
    result,
    state_of,
    tool,
    user,
)
from tests.fixtures import moves
from tests.fixtures.lines import (
    PATIENCE_S,
    Line,
    end_of,
    line,
    message_of,
    text_of,
)
from tests.fixtures.wires import SERVERS, Wire

ARGS = '{"city": "Málaga 🌊", "days": [1, 2], "deep": {"a": null}}'


def calls_in(deltas: list[Delta]) -> list[ToolCall]:
    return [delta for delta in deltas if isinstance(delta, ToolCall)]


@pytest.mark.parametrize("wire", SERVERS)
@pytest.mark.parametrize("size", [1, 7, 64])
async def test_bytes_may_come_in_any_pieces(wire: Wire, size: int) -> None:
    async with line(wire, bytes_at_a_time=size) as opened:
        pieces = tuple(ARGS[start : start + 3] for start in range(0, len(ARGS), 3))
        opened.server.answer(
            moves.Say(("Olé", " 🌊", "\n\nx")),
            moves.Call("c1", "weather", pieces),
            moves.Finish("tool_calls"),
        )
        deltas = await opened.ask(user())
    assert text_of(deltas) == "Olé 🌊\n\nx"
    (made,) = calls_in(deltas)
    assert made.args == {"city": "Málaga 🌊", "days": [1, 2], "deep": {"a": None}}
    typed = [d.args_delta for d in deltas if isinstance(d, ToolInputDelta)]
    assert "".join(typed) == ARGS
    assert len(typed) == len(pieces)
    assert end_of(deltas) == "tool_calls"


async def test_a_whole_turn_goes_through(either: Line) -> None:
    """What the server says goes back to it, and it finds nothing to refuse."""
    first = await either.ask(user("what time is it?"), effort="low")
    answer = message_of(first)
    (made,) = calls_in(first)
    told = tool(result(made.tool_call_id, result={"now": "noon"}))
    second = await either.ask(user("what time is it?"), answer, told, effort="low")
    assert text_of(second) == 'It is {"now":"noon"}.'
    third = await either.ask(
        user("what time is it?"), answer, told, message_of(second), user("count 3")
    )
    assert text_of(third) == "1 2 3"
    assert either.server.refused == []


async def test_histories_with_holes_are_not_refused(either: Line) -> None:
    reasoning = ReasoningPart(text="hm", provider_metadata={"provider": "somebody"})
    await either.ask(
        user("a"),
        assistant(
            "I look", call("c.1", "ns.clock"), call("c.1"), call("gone", args="x")
        ),
        user("meanwhile"),
        tool(result("c.1")),
        tool(result("lost", result=None, is_error=True)),
        assistant(reasoning),
        assistant(reasoning, " ", call("c.1")),
        tool(result("c.1", result="")),
        user(" ", "b"),
    )
    assert either.server.refused == []


async def test_tools_are_sent_as_they_are_and_in_their_order(either: Line) -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"b": {"type": "string"}, "a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    tools = [ToolSpec("zeta", "Z.", schema), ToolSpec("alpha", "A.", {"required": []})]
    await either.ask(user(), tools=tools)
    sent = [t.get("function", t) for t in either.server.requests[-1].body["tools"]]
    assert [t["name"] for t in sent] == ["zeta", "alpha"]
    schemas = [t.get("parameters") or t["input_schema"] for t in sent]
    assert schemas == [schema, {"type": "object", "properties": {}}]


async def test_without_tools_none_are_sent(either: Line) -> None:
    await either.ask(user(), tools=())
    assert "tools" not in either.server.requests[-1].body


async def test_the_same_history_is_the_same_request(either: Line) -> None:
    events = (user("a"), assistant("b", call()), tool(), user("c"))
    await either.ask(*events)
    await either.ask(*events)
    first, second = either.server.requests
    assert first.body == second.body
    assert list(first.body) == list(second.body)


async def test_usage_tells_cached_tokens_apart(either: Line) -> None:
    tokens = moves.Tokens(input=10, output=5, cache_read=100, reasoning=3)
    either.server.answer(moves.Say(("x",)), moves.Finish(tokens=tokens))
    deltas = await either.ask(user())
    (report,) = (delta for delta in deltas if isinstance(delta, UsageReport))
    assert report.usage == Usage(
        input_tokens=10,
        output_tokens=5,
        total_tokens=115,
        reasoning_tokens=3,
        cache_read_tokens=100,
    )


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
async def test_finish_reasons(either: Line, reason: Any) -> None:
    either.server.answer(moves.Say(("said",)), moves.Finish(reason))
    deltas = await either.ask(user())
    assert text_of(deltas) == "said"
    assert end_of(deltas) == reason


async def test_an_answer_that_was_withheld_is_an_error(either: Line) -> None:
    either.server.answer(moves.Finish("content_filter", refusal="I would rather not."))
    with pytest.raises(ProviderError) as withheld:
        await either.ask(user())
    assert withheld.value.kind == "content_filter"
    assert not withheld.value.retryable
    assert withheld.value.detail == "I would rather not."


async def test_a_call_cut_off_by_the_limit_has_no_arguments(either: Line) -> None:
    cut = moves.Call("c1", "clock", ('{"timezone": "Eur',))
    either.server.answer(moves.Say(("x",)), cut, moves.Finish("length"))
    deltas = await either.ask(user())
    assert [c.args for c in calls_in(deltas)] == [None]
    assert end_of(deltas) == "length"


async def test_a_call_without_arguments_has_an_empty_object(either: Line) -> None:
    either.server.answer(moves.Call("c1", "clock", ()), moves.Finish("tool_calls"))
    assert [c.args for c in calls_in(await either.ask(user()))] == [{}]


async def test_calls_with_one_id_are_told_apart(either: Line) -> None:
    same = moves.Call("call_0", "clock", ("{}",))
    either.server.answer(same, same, moves.Finish("tool_calls"))
    made = calls_in(await either.ask(user()))
    assert [c.tool_call_id for c in made] == ["call_0", "call_0_2"]


async def test_an_answer_of_nothing_is_an_answer(either: Line) -> None:
    either.server.answer(moves.Finish())
    deltas = await either.ask(user())
    assert [type(delta) for delta in deltas] == [Opened, UsageReport, Finish]


async def test_a_message_may_name_another_model(either: Line) -> None:
    await either.ask(user(), model="another")
    assert either.server.requests[-1].body["model"] == "another"


@pytest.mark.parametrize("wire", SERVERS)
async def test_a_model_may_name_its_vendor(wire: Wire) -> None:
    vendor = "anthropic" if wire == "anthropic" else "openai"
    async with line(wire) as opened:
        await opened.ask(user(), model=f"{vendor}:ns:x")
        assert opened.server.requests[-1].body["model"] == "ns:x"
        other = "openai" if vendor == "anthropic" else "anthropic"
        with pytest.raises(ProviderError) as refused:
            await opened.ask(user(), model=f"{other}:x")
        assert refused.value.kind == "config"
        assert len(opened.server.requests) == 1


async def test_requests_say_who_asks(either: Line) -> None:
    await either.ask(user())
    assert either.server.requests[-1].headers["user-agent"].startswith("parley/")


async def test_closing_a_stream_closes_its_connection(either: Line) -> None:
    either.server.answer(moves.Say(("x",)), moves.Wait(), moves.Finish())
    async with asyncio.timeout(PATIENCE_S):
        stream = either.provider.stream(_request())
        assert await anext(stream) == Opened()
        assert await anext(stream) == TextDelta("x")
        await stream.aclose()
        await either.server.left.wait()


@pytest.mark.parametrize("said", [(), ("x",)])
async def test_cancelling_closes_the_connection(
    either: Line, said: tuple[str, ...]
) -> None:
    """Before the first delta, and while the next one is awaited."""
    waits = moves.Wait()
    either.server.answer(moves.Say(said), waits, moves.Finish())
    begun = asyncio.Event()

    async def read() -> None:
        async with aclosing(either.provider.stream(_request())) as deltas:
            async for _ in deltas:
                begun.set()

    async with asyncio.timeout(PATIENCE_S):
        task = asyncio.create_task(read())
        if said:
            await begun.wait()
        await either.server.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await either.server.left.wait()


async def test_connections_are_used_again(either: Line) -> None:
    for _ in range(3):
        await either.ask(user("count 3"))
    assert either.server.connections == 1


def _request() -> ModelRequest:
    messages = list(state_of(created(), user()).messages)
    return ModelRequest(messages=messages, tools=[])
