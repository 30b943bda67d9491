"""What only chat completions have: parallel deltas, reasoning where servers put it."""

from __future__ import annotations

import pytest

from service.domain.events.chat import MessageAppended
from service.providers.provider import (
    BlockEnd,
    ToolCall,
    ToolInputDelta,
    ToolInputStart,
)
from tests.builders import NOW, assistant, call, result, text, tool, user
from tests.fixtures import moves
from tests.fixtures.lines import (
    Line,
    end_of,
    line,
    message_of,
    reasoning_of,
    text_of,
)
from tests.fixtures.openai_server import OpenAIServer


async def test_arguments_of_parallel_calls_may_come_in_turns(openai: Line) -> None:
    calls = (
        moves.Call("c1", "first", ('{"a"', ": 1", "}")),
        moves.Call("c2", "second", ('{"b": ', "2}")),
        moves.Call("c3", "third", ("{}",)),
    )
    openai.server.answer(moves.Interleaved(calls), moves.Finish("tool_calls"))
    deltas = await openai.ask(user())
    whole = [delta for delta in deltas if isinstance(delta, ToolCall)]
    assert [(c.tool_call_id, c.args) for c in whole] == [
        ("c1", {"a": 1}),
        ("c2", {"b": 2}),
        ("c3", {}),
    ]
    begun = [d.tool_call_id for d in deltas if isinstance(d, ToolInputStart)]
    assert begun == ["c1", "c2", "c3"]
    typed = [d.tool_call_id for d in deltas if isinstance(d, ToolInputDelta)]
    assert typed == ["c1", "c2", "c3", "c1", "c2", "c1"]


async def test_a_call_is_whole_as_soon_as_it_can_be(openai: Line) -> None:
    """Not only when the answer is: followers see it, tools might begin."""
    openai.server.answer(
        moves.Call("c1", "first", ("{}",)),
        moves.Call("c2", "second", ("{}",)),
        moves.Finish("tool_calls"),
    )
    deltas = await openai.ask(user())
    kinds = [type(d) for d in deltas]
    assert kinds.index(ToolCall) < len(kinds) - 1 - kinds[::-1].index(ToolInputStart)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_reasoning_goes_back_in_the_field_it_came_in(field: str) -> None:
    async with line("openai") as opened:
        assert isinstance(opened.server, OpenAIServer)
        opened.server.reasoning_field = field
        opened.server.answer(
            moves.Think(("hm, ", "the clock")),
            moves.Call("c1", "clock", ("{}",)),
            moves.Finish("tool_calls"),
        )
        deltas = await opened.ask(user("time?"))
        assert reasoning_of(deltas) == "hm, the clock"
        (end,) = (delta for delta in deltas if isinstance(delta, BlockEnd))
        assert end.provider_metadata is not None
        await opened.ask(user("time?"), message_of(deltas), tool())
        sent = opened.server.requests[-1].body["messages"][1]
    assert sent[field] == "hm, the clock"


async def test_reasoning_of_another_vendor_is_not_sent(openai: Line) -> None:
    async with line("anthropic") as other:
        other.server.answer(moves.Think(("hm",)), moves.Say(("so",)), moves.Finish())
        said = message_of(await other.ask(user("why?")))
    await openai.ask(user("why?"), said, user("really?"))
    sent = openai.server.requests[-1].body["messages"][1]
    assert sent == {"role": "assistant", "content": "so"}


async def test_reasoning_written_into_the_text_is_told_apart(openai: Line) -> None:
    pieces = ("<th", "ink>a < b", " and", " so</thi", "nk>\n", "\nyes", " <think>")
    openai.server.answer(moves.Say(pieces), moves.Finish())
    deltas = await openai.ask(user())
    assert reasoning_of(deltas) == "a < b and so"
    assert text_of(deltas) == "yes <think>"
    said = message_of(deltas)
    assert [part.type for part in said.parts] == ["reasoning", "text"]
    await openai.ask(user(), said, user("more"))
    assert openai.server.requests[-1].body["messages"][1]["content"] == "yes <think>"


async def test_text_after_a_call_is_text(openai: Line) -> None:
    openai.server.answer(
        moves.Call("c1", "clock", ("{}",)), moves.Say(("<think>", "x")), moves.Finish()
    )
    deltas = await openai.ask(user())
    assert text_of(deltas) == "<think>x"
    assert end_of(deltas) == "tool_calls"


async def test_system_and_results_have_roles_of_their_own(openai: Line) -> None:
    system = MessageAppended(
        at=NOW, role="system", visibility="model", parts=(text("be brief"),)
    )
    await openai.ask(
        system,
        user("time?"),
        assistant("I look.", call("c1")),
        tool(result("c1", result={"error": "broken"}, is_error=True)),
        user("and?"),
    )
    messages = openai.server.requests[-1].body["messages"]
    assert [m["role"] for m in messages] == [
        "system", "user", "assistant", "tool", "user",
    ]  # fmt: skip
    assert messages[3]["content"] == '{"error":"broken"}'
    assert messages[4]["content"] == "and?"


async def test_effort_is_passed_on(openai: Line) -> None:
    await openai.ask(user(), effort="high")
    await openai.ask(user())
    with_effort, without = (asked.body for asked in openai.server.requests)
    assert with_effort["reasoning_effort"] == "high"
    assert "reasoning_effort" not in without


async def test_a_server_that_needs_no_key() -> None:
    async with line("openai", key=None) as opened:
        opened.server.key = "no-key"
        await opened.ask(user())
    assert opened.server.refused == []
