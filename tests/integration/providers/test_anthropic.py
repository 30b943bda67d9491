"""What only Anthropic's API has: signatures, roles, system, errors of results."""

from __future__ import annotations

import pytest

from service.domain.events.chat import MessageAppended, Usage
from service.domain.parts import ReasoningPart
from service.providers.provider import BlockEnd, ReasoningDelta, UsageReport
from tests.builders import NOW, assistant, call, result, text, tool, user
from tests.fixtures import moves
from tests.fixtures.anthropic_server import AnthropicServer
from tests.fixtures.lines import Line, line, message_of, reasoning_of


def thinking(line_: Line, *thoughts: moves.Move) -> None:
    line_.server.answer(*thoughts, moves.Say(("so",)), moves.Finish())


async def test_reasoning_comes_with_its_signature_at_its_end(anthropic: Line) -> None:
    thinking(anthropic, moves.Think(("because ", "it is")))
    deltas = await anthropic.ask(user(), effort="high")
    assert reasoning_of(deltas) == "because it is"
    ends = [delta for delta in deltas if isinstance(delta, BlockEnd)]
    assert ends[0].provider_metadata is not None
    assert ends[0].provider_metadata["signature"] == anthropic.server.sealed(
        "because it is"
    )
    assert ends[1].provider_metadata is None


async def test_signed_reasoning_goes_back_unchanged(anthropic: Line) -> None:
    thinking(anthropic, moves.Think(("because ", "  it is\n")))
    said = message_of(await anthropic.ask(user("why?"), effort="high"))
    await anthropic.ask(user("why?"), said, user("really?"), effort="high")
    sent = anthropic.server.requests[-1].body["messages"][1]["content"]
    assert sent[0] == {
        "type": "thinking",
        "thinking": "because   it is\n",
        "signature": anthropic.server.sealed("because   it is\n"),
    }
    assert anthropic.server.refused == []


async def test_redacted_reasoning_is_kept_and_goes_back(anthropic: Line) -> None:
    thinking(anthropic, moves.Think(("hidden",), redacted=True))
    deltas = await anthropic.ask(user("why?"))
    assert ReasoningDelta("") in deltas
    said = message_of(deltas)
    assert isinstance(said.parts[0], ReasoningPart)
    await anthropic.ask(user("why?"), said, user("really?"))
    sent = anthropic.server.requests[-1].body["messages"][1]["content"]
    assert isinstance(anthropic.server, AnthropicServer)
    data = anthropic.server.redacted("hidden")
    assert sent[0] == {"type": "redacted_thinking", "data": data}


async def test_reasoning_cut_off_before_its_signature_stays_here(
    anthropic: Line,
) -> None:
    thinking(anthropic, moves.Think(("because",), signed=False))
    said = message_of(await anthropic.ask(user("why?")))
    assert isinstance(said.parts[0], ReasoningPart)
    assert said.parts[0].provider_metadata is None
    await anthropic.ask(user("why?"), said, user("really?"))
    sent = anthropic.server.requests[-1].body["messages"][1]["content"]
    assert [block["type"] for block in sent] == ["text"]


async def test_reasoning_of_another_server_is_not_sent(anthropic: Line) -> None:
    thinking(anthropic, moves.Think(("because",)))
    said = message_of(await anthropic.ask(user("why?")))
    async with line("anthropic") as other:
        await other.ask(user("why?"), said, user("really?"))
        sent = other.server.requests[-1].body["messages"][1]["content"]
    assert [block["type"] for block in sent] == ["text"]


async def test_thinking_is_asked_for_by_effort(anthropic: Line) -> None:
    await anthropic.ask(user(), effort="high")
    await anthropic.ask(user())
    await anthropic.ask(user(), effort="nonsense")
    high, plain, nonsense = (asked.body for asked in anthropic.server.requests)
    assert high["thinking"] == {"type": "adaptive"}
    assert high["output_config"] == {"effort": "high"}
    assert "thinking" not in plain
    assert nonsense == plain


async def test_the_system_prompt_stands_apart(anthropic: Line) -> None:
    system = MessageAppended(
        at=NOW, role="system", visibility="model", parts=(text("be brief"),)
    )
    await anthropic.ask(system, user("hello"))
    body = anthropic.server.requests[-1].body
    (block,) = body["system"]
    assert block["text"] == "be brief"
    assert [m["role"] for m in body["messages"]] == ["user"]


async def test_results_say_whether_they_are_errors(anthropic: Line) -> None:
    await anthropic.ask(
        user(),
        assistant(call("c1"), call("c2")),
        tool(result("c1", result={"error": "no such zone"}, is_error=True)),
        tool(result("c2")),
    )
    blocks = anthropic.server.requests[-1].body["messages"][-1]["content"]
    assert [(b["tool_use_id"], b["is_error"]) for b in blocks] == [
        ("c1", True),
        ("c2", False),
    ]
    assert blocks[0]["content"] == [{"type": "text", "text": "no such zone"}]


async def test_tokens_written_to_the_cache_are_told_apart(anthropic: Line) -> None:
    tokens = moves.Tokens(input=10, output=5, cache_read=100, cache_write=30)
    anthropic.server.answer(moves.Say(("x",)), moves.Finish(tokens=tokens))
    (report,) = (d for d in await anthropic.ask(user()) if isinstance(d, UsageReport))
    assert report.usage == Usage(
        input_tokens=10,
        output_tokens=5,
        total_tokens=145,
        cache_read_tokens=100,
        cache_creation_tokens=30,
    )


@pytest.mark.parametrize("key", [None, "sk-ant-x"])
async def test_the_key_goes_by_both_headers_to_a_server_of_ones_own(
    key: str | None,
) -> None:
    async with line("anthropic", key=key) as opened:
        opened.server.key = key or "no-key"
        await opened.ask(user())
        headers = opened.server.requests[-1].headers
    sent = key or "no-key"
    assert headers["x-api-key"] == sent
    assert headers["authorization"] == f"Bearer {sent}"
