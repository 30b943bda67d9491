"""Every wire format tells the same: what a model does comes out alike, and goes back.

The servers refuse what their vendors refuse, so a second request that passes proves
that the first answer was kept as the vendor wants it.
"""

from __future__ import annotations

from typing import Any

import pytest

from service import wire as json
from service.domain.events.chat import MessageAppended, Usage
from service.domain.parts import (
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from service.providers.provider import (
    Delta,
    Finish,
    ProviderError,
    Source,
    TextDelta,
    ToolCall,
    ToolInputDelta,
    ToolInputStart,
    ToolResult,
    UsageReport,
)
from tests.builders import result, tool, user
from tests.fixtures.lines import (
    SHOWN,
    Line,
    end_of,
    line,
    message_of,
    reasoning_of,
    text_of,
)
from tests.fixtures.moves import (
    Call,
    Interleaved,
    Page,
    Say,
    Search,
    Think,
    Tokens,
)
from tests.fixtures.moves import (
    Finish as Ends,
)
from tests.fixtures.wires import Wire

SEALED = "c2VhbGVk"
"""How everything begins that a server of ours signs or encrypts."""

PAGE = Page("https://example.org/noon", "When it is noon")
OTHER = Page("https://example.org/night", "When it is not")

HOSTED: tuple[Wire, ...] = ("responses", "anthropic")
"""Those that hide thoughts and execute calls; chat completions do neither."""

SEARCHING = {**SHOWN, "web_search": True}

FIRST = Call("c1", "clock", ('{"time', 'zone": "UT', 'C"}'))
SECOND = Call("c2", "clock", ('{"timezone": ', '"Europe/Berlin"}'))


def sent(opened: Line) -> str:
    """The last request, as JSON."""
    return json.dumps(opened.server.requests[-1].body).decode()


def calls_in(deltas: list[Delta]) -> list[ToolCall]:
    return [delta for delta in deltas if isinstance(delta, ToolCall)]


def usage_in(deltas: list[Delta]) -> Usage:
    (report,) = (delta for delta in deltas if isinstance(delta, UsageReport))
    return report.usage


async def test_text(opened: Line) -> None:
    opened.server.answer(Say(("Olé ", "🌊", "\n\n", "x")), Ends())
    deltas = await opened.ask(user())
    pieces = [d.text for d in deltas if isinstance(d, TextDelta)]
    assert pieces == ["Olé ", "🌊", "\n\n", "x"]
    assert end_of(deltas) == "stop"
    (part,) = message_of(deltas).parts
    assert isinstance(part, TextPart)
    assert part.text == "Olé 🌊\n\nx"


async def test_reasoning_goes_round_over_two_turns(opened: Line) -> None:
    """Reasoning, a call and its result; an answer; a question; another answer."""
    opened.server.answer(
        Think(("it  is", "\nnoon? ")), Say(("I look.",)), FIRST, Ends("tool_calls")
    )
    opened.server.answer(Think(("so it is",)), Say(("Noon.",)), Ends())
    opened.server.answer(Think(("again",)), Say(("Still noon.",)), Ends())
    told = [user("time?")]
    first = await opened.ask(*told, effort="low")
    assert reasoning_of(first) == "it  is\nnoon? "
    told += [message_of(first), tool(result("c1", result="noon"))]
    second = await opened.ask(*told, effort="low")
    assert text_of(second) == "Noon."
    told += [message_of(second), user("and now?")]
    third = await opened.ask(*told, effort="low")
    told += [message_of(third), user("and now?")]
    opened.server.answer(Say(("Bye.",)), Ends())
    await opened.ask(*told, effort="low")
    assert opened.server.refused == []
    for thought in ("it  is\\nnoon? ", "so it is", "again"):
        assert sent(opened).count(f'"{thought}"') == 1
    assert "it  is" not in text_of(third)


async def test_reasoning_of_several_parts_goes_round(opened: Line) -> None:
    opened.server.answer(
        Think(("first",), more=(("second ", "part"), ("third",))),
        FIRST,
        Ends("tool_calls"),
    )
    first = await opened.ask(user("time?"), effort="low")
    thought = message_of(first).parts[0]
    assert isinstance(thought, ReasoningPart)
    for said in ("first", "second part", "third"):
        assert said in thought.text
    opened.server.answer(Say(("Noon.",)), Ends())
    await opened.ask(user("time?"), message_of(first), tool(result("c1")))
    assert opened.server.refused == []


@pytest.mark.parametrize("wire", HOSTED)
async def test_a_thought_that_nobody_can_read_goes_round(wire: Wire) -> None:
    async with line(wire) as opened:
        opened.server.answer(
            Think(("hidden",), redacted=True), FIRST, Ends("tool_calls")
        )
        first = await opened.ask(user("time?"))
        assert reasoning_of(first) == ""
        opened.server.answer(Say(("Noon.",)), Ends())
        await opened.ask(user("time?"), message_of(first), tool(result("c1")))
        assert opened.server.refused == []
        assert sent(opened).count(SEALED) == 1


async def test_parallel_calls_with_interleaved_arguments(opened: Line) -> None:
    opened.server.answer(
        Think(("both",)), Interleaved((FIRST, SECOND)), Ends("tool_calls")
    )
    deltas = await opened.ask(user("time?"))
    whole = calls_in(deltas)
    assert [(c.tool_call_id, c.args) for c in whole] == [
        ("c1", {"timezone": "UTC"}),
        ("c2", {"timezone": "Europe/Berlin"}),
    ]
    begun = [d.tool_call_id for d in deltas if isinstance(d, ToolInputStart)]
    assert begun == ["c1", "c2"]
    for made, pieces in ((whole[0], FIRST.pieces), (whole[1], SECOND.pieces)):
        typed = [
            delta.args_delta
            for delta in deltas
            if isinstance(delta, ToolInputDelta)
            and delta.tool_call_id == made.tool_call_id
        ]
        assert tuple(typed) == pieces
    assert end_of(deltas) == "tool_calls"
    # results may come in another order
    results = tool(result("c2", result="one"), result("c1", result="noon"))
    opened.server.answer(Say(("Noon, and one.",)), Ends())
    await opened.ask(user("time?"), message_of(deltas), results)
    assert opened.server.refused == []
    assert set(opened.server.requests[-1].results) == {"noon", "one"}


async def test_errors_of_tools_are_told(opened: Line) -> None:
    opened.server.answer(FIRST, SECOND, Ends("tool_calls"))
    answer = message_of(await opened.ask(user("time?")))
    failed = result("c1", result={"error": "no such zone"}, is_error=True)
    opened.server.answer(Say(("Sorry.",)), Ends())
    await opened.ask(user("time?"), answer, tool(failed, result("c2")))
    assert opened.server.refused == []
    first, second = opened.server.requests[-1].results
    assert "no such zone" in first
    assert second == "noon"


async def test_a_refusal_is_an_error(opened: Line) -> None:
    opened.server.answer(Ends("content_filter", refusal="I would rather not."))
    with pytest.raises(ProviderError) as withheld:
        await opened.ask(user())
    assert (withheld.value.kind, withheld.value.retryable) == ("content_filter", False)
    assert withheld.value.detail == "I would rather not."


async def test_thoughts_alone_before_a_filter_are_an_error(opened: Line) -> None:
    opened.server.answer(Think(("hm",)), Ends("content_filter"))
    with pytest.raises(ProviderError) as withheld:
        await opened.ask(user())
    assert withheld.value.kind == "content_filter"


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_text_that_was_cut_short_is_kept(opened: Line, reason: Any) -> None:
    opened.server.answer(Think(("hm",)), Say(("half an",)), Ends(reason))
    deltas = await opened.ask(user())
    assert text_of(deltas) == "half an"
    assert end_of(deltas) == reason
    opened.server.answer(Say(("answer",)), Ends())
    await opened.ask(user(), message_of(deltas), user("go on"))
    assert opened.server.refused == []


async def test_usage_tells_cached_and_reasoning_tokens_apart(opened: Line) -> None:
    tokens = Tokens(input=10, output=50, cache_read=100, reasoning=30)
    opened.server.answer(Think(("hm",)), Say(("x",)), Ends(tokens=tokens))
    assert usage_in(await opened.ask(user())) == Usage(
        input_tokens=10,
        output_tokens=50,
        total_tokens=160,
        reasoning_tokens=30,
        cache_read_tokens=100,
    )


async def test_the_final_word_is_kept_without_what_was_said(opened: Line) -> None:
    secret = "what was said"
    opened.server.answer(Think((secret,)), Say((secret,)), Ends())
    last = (await opened.ask(user(secret)))[-1]
    assert isinstance(last, Finish)
    assert last.response is not None
    assert last.response["model"] == opened.server.requests[-1].body["model"]
    assert "usage" in last.response
    assert secret not in json.dumps(dict(last.response)).decode()


@pytest.mark.parametrize("wire", HOSTED)
async def test_a_search_of_the_vendors_goes_round(wire: Wire) -> None:
    async with line(wire) as opened:
        opened.server.answer(
            Think(("I search",)),
            Search("noon", (PAGE, OTHER)),
            Think(("found it",)),
            Say(("It is ", "noon."), cites=(PAGE,)),
            Ends(),
        )
        deltas = await opened.ask(user("time?"), options=SEARCHING)
        (call,) = calls_in(deltas)
        (found,) = (d for d in deltas if isinstance(d, ToolResult))
        assert call.provider_executed
        assert isinstance(call.args, dict)
        assert call.args["query"] == "noon"
        assert found.tool_call_id == call.tool_call_id
        assert deltas.index(call) < deltas.index(found)
        assert not found.is_error
        assert PAGE.url in {d.url for d in deltas if isinstance(d, Source)}
        assert end_of(deltas) == "stop"
        said = message_of(deltas)
        assert [type(part) for part in said.parts if type(part) is not SourcePart] == [
            ReasoningPart,
            ToolCallPart,
            ToolResultPart,
            ReasoningPart,
            TextPart,
        ]
        opened.server.answer(Say(("Yes.",)), Ends())
        await opened.ask(user("time?"), said, user("sure?"), options=SEARCHING)
        assert opened.server.refused == []
        back = sent(opened)
        assert '"server_tool_use"' in back or '"web_search_call"' in back


@pytest.mark.parametrize("wire", HOSTED)
async def test_a_search_and_calls_of_ours_in_one_answer(wire: Wire) -> None:
    async with line(wire) as opened:
        opened.server.answer(
            Think(("I search",)),
            Search("noon", (PAGE,)),
            Think(("and look",)),
            Interleaved((FIRST, SECOND)),
            Ends("tool_calls"),
        )
        deltas = await opened.ask(user("time?"), options=SEARCHING)
        assert [c.provider_executed for c in calls_in(deltas)] == [True, False, False]
        assert end_of(deltas) == "tool_calls"
        answers = tool(result("c1"), result("c2"))
        opened.server.answer(Say(("Noon.",)), Ends())
        await opened.ask(user("time?"), message_of(deltas), answers, options=SEARCHING)
        assert opened.server.refused == []


@pytest.mark.parametrize("wire", HOSTED)
async def test_a_search_that_failed_goes_round(wire: Wire) -> None:
    async with line(wire) as opened:
        opened.server.answer(
            Search("noon", error="max_uses_exceeded"), Say(("Sorry.",)), Ends()
        )
        deltas = await opened.ask(user("time?"), options=SEARCHING)
        (found,) = (d for d in deltas if isinstance(d, ToolResult))
        assert found.is_error
        opened.server.answer(Say(("Yes.",)), Ends())
        said = message_of(deltas)
        await opened.ask(user("time?"), said, user("sure?"), options=SEARCHING)
        assert opened.server.refused == []


async def test_cited_pages_are_sources(opened: Line) -> None:
    opened.server.answer(Say(("It is noon.",), cites=(PAGE, OTHER)), Ends())
    deltas = await opened.ask(user("time?"), options=SEARCHING)
    told = [(d.url, d.title) for d in deltas if isinstance(d, Source)]
    assert told == [(page.url, page.title) for page in (PAGE, OTHER)]
    opened.server.answer(Say(("Yes.",)), Ends())
    said = message_of(deltas)
    await opened.ask(user("time?"), said, user("sure?"), options=SEARCHING)
    assert opened.server.refused == []


async def test_an_answer_of_nothing(opened: Line) -> None:
    opened.server.answer(Ends())
    deltas = await opened.ask(user())
    assert end_of(deltas) == "stop"
    nothing = message_of(deltas)
    assert nothing.parts == ()
    empty = MessageAppended(at=nothing.at, role="assistant", parts=())
    opened.server.answer(Say(("x",)), Ends())
    await opened.ask(user(), empty, user("hello?"))
    assert opened.server.refused == []


async def test_an_answer_of_a_megabyte(opened: Line) -> None:
    pieces = tuple(f"{number:>1023} " for number in range(1024))
    opened.server.answer(Say(pieces), Ends())
    deltas = await opened.ask(user())
    assert text_of(deltas) == "".join(pieces)
    assert end_of(deltas) == "stop"


async def test_arguments_of_a_megabyte(opened: Line) -> None:
    long = "x" * 1024
    pieces = ('{"text": "', *(long for _ in range(1024)), '"}')
    opened.server.answer(Call("c1", "clock", pieces), Ends("tool_calls"))
    (made,) = calls_in(await opened.ask(user()))
    assert made.args == {"text": long * 1024}


async def test_a_final_word_of_a_megabyte_is_cut_down(opened: Line) -> None:
    instructions = "x" * 1_000_000
    deltas = await opened.ask(user("count 3"), system=[instructions])
    last = deltas[-1]
    assert isinstance(last, Finish)
    assert len(json.dumps(dict(last.response or {}))) <= 65_536


async def test_no_tool_may_be_called(opened: Line) -> None:
    """Tools are told all the same, as before: caches hold."""
    first = await opened.ask(user("time?"))
    tools = opened.server.requests[-1].body["tools"]
    (made,) = calls_in(first)
    told = tool(result(made.tool_call_id))
    deltas = await opened.ask(
        user("time?"), message_of(first), told, user("sum up"), tool_choice="none"
    )
    body = opened.server.requests[-1].body
    assert body["tools"] == tools
    assert body["tool_choice"] in ("none", {"type": "none"})
    assert calls_in(deltas) == []
    assert end_of(deltas) == "stop"


async def test_without_tools_no_choice_is_told(opened: Line) -> None:
    await opened.ask(user("time?"), tools=(), tool_choice="none")
    assert "tool_choice" not in opened.server.requests[-1].body
    assert opened.server.refused == []


async def test_what_is_told_first_stands_first(opened: Line) -> None:
    await opened.ask(user("hello"), system=["be brief", "be kind"])
    told = sent(opened)
    assert -1 < told.index("be brief") < told.index("be kind")
    assert opened.server.requests[-1].text == "hello"


async def test_limits_are_told(opened: Line) -> None:
    await opened.ask(user(), max_output_tokens=12_345)
    body = opened.server.requests[-1].body
    limits = [
        body.get(name)
        for name in ("max_tokens", "max_completion_tokens", "max_output_tokens")
    ]
    assert [limit for limit in limits if limit is not None] == [12_345]
