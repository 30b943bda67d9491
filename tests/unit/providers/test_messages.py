"""Anthropic's messages from end to end, against recorded events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from service.domain.events.chat import Usage
from service.domain.parts import FilePart
from service.providers.provider import (
    BlockEnd,
    FileContent,
    Finish,
    Opened,
    ProviderError,
    ReasoningDelta,
    Source,
    TextDelta,
    ToolCall,
    ToolResult,
    UsageReport,
)
from service.tools.clock import SPEC
from tests.builders import assistant, call, result, tool, user
from tests.unit.providers.events import (
    found,
    page,
    searched,
    spoken,
    started,
    stopped,
    thinking,
)
from tests.unit.providers.recorded import Recorded, recorded, said

HINT = {"type": "ephemeral", "ttl": "5m"}

CITE = {
    "type": "web_search_result_location",
    "url": "https://a.b",
    "title": "A",
    "encrypted_index": "Eo8B",
    "cited_text": "words",
}

SEARCHES = {"web_search": True}

PAGES = [page("https://a.b", "A"), page("https://c.d", "C")]


@pytest_asyncio.fixture
async def anthropic() -> AsyncIterator[Recorded]:
    async with recorded("messages") as made:
        yield made


async def answer(anthropic: Recorded) -> list[Any]:
    """A thought, a search, and what came of it."""
    anthropic.plays(
        started(cache_read_input_tokens=100, cache_creation_input_tokens=7),
        *thinking(0, "hm", "sig"),
        *searched(1, "srvtoolu_1", "q"),
        *found(2, "srvtoolu_1", PAGES),
        *spoken(3, "so ", "it is", cites=(CITE,)),
        *stopped("end_turn"),
    )
    return await anthropic.ask(user("?"), options=SEARCHES)


def plays(to: Recorded) -> None:
    to.plays(started(), *spoken(0, "ok"), *stopped("end_turn"))


async def test_everything_is_told_in_its_order(anthropic: Recorded) -> None:
    deltas = await answer(anthropic)
    search = {"provider": "anthropic", "id": "srvtoolu_1"}
    assert deltas[:-1] == [
        Opened(),
        ReasoningDelta(""),
        ReasoningDelta("hm"),
        BlockEnd({"provider": "anthropic", "signature": "sig"}),
        ToolCall("srvtoolu_1", "web_search", {"query": "q"}, True, search),
        ToolResult("srvtoolu_1", "web_search", PAGES, provider_metadata=search),
        Source("source_1", "https://a.b", "A"),
        Source("source_2", "https://c.d", "C"),
        TextDelta("so "),
        TextDelta("it is"),
        BlockEnd({"provider": "anthropic", "details": {"citations": [CITE]}}),
        UsageReport(
            Usage(
                input_tokens=10,
                output_tokens=9,
                total_tokens=126,
                cache_read_tokens=100,
                cache_creation_tokens=7,
            )
        ),
    ]
    assert deltas[-1] == Finish(
        "stop",
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-opus-5-5",
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": 10,
                "output_tokens": 9,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 7,
            },
        },
    )


async def test_all_of_it_goes_back_as_it_came(anthropic: Recorded) -> None:
    told = said(await answer(anthropic))
    plays(anthropic)
    await anthropic.ask(user("?"), told, user("and?"))
    (_, sent, _) = anthropic.requests[-1]["messages"]
    assert sent["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {
            "type": "server_tool_use",
            "id": "srvtoolu_1",
            "name": "web_search",
            "input": {"query": "q"},
        },
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": PAGES,
        },
        {
            "type": "text",
            "text": "so it is",
            "citations": [CITE],
            "cache_control": HINT,
        },
    ]


async def test_a_search_without_its_result_is_not_told(anthropic: Recorded) -> None:
    """The thought before it is, unchanged; what it led to is gone."""
    anthropic.plays(
        started(),
        *thinking(0, "hm", "sig"),
        *spoken(1, "I look"),
        *searched(2, "srvtoolu_1", "q"),
        *stopped("pause_turn"),
    )
    deltas = await anthropic.ask(user("?"), options=SEARCHES)
    assert isinstance(deltas[-1], Finish)
    assert deltas[-1].reason == "other"
    plays(anthropic)
    await anthropic.ask(user("?"), said(deltas))
    (_, sent, last) = anthropic.requests[-1]["messages"]
    assert [block["type"] for block in sent["content"]] == ["thinking", "text"]
    assert last["role"] == "user"


async def test_a_search_that_failed_goes_back_too(anthropic: Recorded) -> None:
    error = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
    anthropic.plays(
        started(),
        *searched(0, "srvtoolu_1", "q"),
        *found(1, "srvtoolu_1", error),
        *spoken(2, "no"),
        *stopped("end_turn"),
    )
    deltas = await anthropic.ask(user("?"), options=SEARCHES)
    (failed,) = (d for d in deltas if isinstance(d, ToolResult))
    assert (failed.is_error, failed.result) == (True, error)
    plays(anthropic)
    await anthropic.ask(user("?"), said(deltas), user("and?"))
    (_, sent, _) = anthropic.requests[-1]["messages"]
    assert sent["content"][1]["content"] == error


async def test_a_request_says_all_that_was_asked_for(anthropic: Recorded) -> None:
    plays(anthropic)
    await anthropic.ask(
        user("?"),
        tools=[SPEC],
        system=("one", "two"),
        session="family",
        reasoning_effort="high",
        max_output_tokens=500,
        temperature=0.5,
        tool_choice="none",
        options={
            "web_search": True,
            "service_tier": "standard_only",
            "extra_body": {"metadata": {"user_id": "x"}},
        },
    )
    (body,) = anthropic.requests
    clock, search = body.pop("tools")
    assert clock["name"] == "clock"
    assert search["type"] == "web_search_20250305"
    assert body == {
        "model": "claude-opus-5-5",
        "stream": True,
        "max_tokens": 500,
        "system": [
            {"type": "text", "text": "one"},
            {"type": "text", "text": "two", "cache_control": HINT},
        ],
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "?", "cache_control": HINT}],
            }
        ],
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
        "tool_choice": {"type": "none"},
        "service_tier": "standard_only",
        "metadata": {"user_id": "x"},
    }


async def test_hints_stand_at_the_last_two_messages_only(anthropic: Recorded) -> None:
    events = (
        user("one"), assistant("I look.", call("c1")), tool(result("c1")), user("two"),
    )  # fmt: skip
    for asked in (events, (*events, assistant("so"), user("three"))):
        plays(anthropic)
        await anthropic.ask(*asked)
        hinted = [
            "cache_control" in sent["content"][-1]
            for sent in anthropic.requests[-1]["messages"]
        ]
        assert hinted == [False] * (len(hinted) - 2) + [True, True]
        blocks = [
            "cache_control" in block
            for sent in anthropic.requests[-1]["messages"]
            for block in sent["content"]
        ]
        assert sum(blocks) == 2


async def test_tools_that_are_gone_are_told_but_not_offered(
    anthropic: Recorded,
) -> None:
    """The vendor refuses calls in a history whose tools it is not told."""
    plays(anthropic)
    await anthropic.ask(user("?"), assistant(call("c1")), tool(), assistant(call("c2")))
    (body,) = anthropic.requests
    assert [told["name"] for told in body["tools"]] == ["clock"]
    assert body["tool_choice"] == {"type": "none"}
    plays(anthropic)
    await anthropic.ask(user("?"))
    assert not {"tools", "tool_choice"} & anthropic.requests[-1].keys()


OLD = "claude-sonnet-4-5"


@pytest.mark.parametrize(
    ("fields", "thinking", "max_tokens"),
    [
        ({"reasoning_effort": "low"}, 2048, 2048 + 500),
        ({"reasoning_effort": "low", "max_output_tokens": 9000}, 2048, 9000),
        ({"options": {"thinking_budget_tokens": 4000}}, 4000, 4500),
    ],
    ids=["effort", "room", "budget"],
)
async def test_a_budget_leaves_room_for_an_answer(
    anthropic: Recorded, fields: Any, thinking: int, max_tokens: int
) -> None:
    plays(anthropic)
    asked = {"max_output_tokens": 500, "temperature": 0.5, **fields}
    await anthropic.ask(user("?"), model=OLD, **asked)
    (body,) = anthropic.requests
    assert body["thinking"] == {"type": "enabled", "budget_tokens": thinking}
    assert body["max_tokens"] == max_tokens
    assert "temperature" not in body


async def test_no_effort_is_no_thinking(anthropic: Recorded) -> None:
    plays(anthropic)
    options = {"thinking_budget_tokens": 4000}
    await anthropic.ask(
        user("?"), model=OLD, reasoning_effort="none", temperature=0.5, options=options
    )
    (body,) = anthropic.requests
    assert "thinking" not in body
    assert body["temperature"] == 0.5


async def test_files_go_by_their_names(anthropic: Recorded) -> None:
    plays(anthropic)
    ids = [UUID(int=number) for number in range(3)]
    contents = [
        FileContent("image/png", b"png", "a.png"),
        FileContent("application/pdf", b"pdf", "b.pdf"),
        FileContent("text/csv", b"a,b", "c.csv"),
    ]
    parts = [
        FilePart(file_id=file_id, media_type=content.media_type)
        for file_id, content in zip(ids, contents, strict=True)
    ]
    files = dict(zip(ids, contents, strict=True))
    await anthropic.ask(user("look", *parts), files=files)
    _, image, pdf, text = anthropic.requests[0]["messages"][0]["content"]
    assert image == {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"},
    }
    assert (pdf["type"], pdf["title"]) == ("document", "b.pdf")
    assert (text["title"], text["source"]["data"]) == ("c.csv", "a,b")


@pytest.mark.parametrize("reason", ["end_turn", "tool_use", "refusal", "max_tokens"])
async def test_a_message_without_its_end_is_none(
    anthropic: Recorded, reason: str
) -> None:
    anthropic.plays(started(), *spoken(0, "all"), *stopped(reason, whole=False))
    with pytest.raises(ProviderError) as cut:
        await anthropic.ask(user())
    assert (cut.value.kind, cut.value.retryable) == ("timeout", True)


@pytest.mark.parametrize(
    ("reason", "ours"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "other"),
    ],
)
async def test_how_it_ended(anthropic: Recorded, reason: str, ours: str) -> None:
    anthropic.plays(started(), *spoken(0, "so"), *stopped(reason))
    end = (await anthropic.ask(user()))[-1]
    assert isinstance(end, Finish)
    assert end.reason == ours


async def test_a_refusal_is_an_error(anthropic: Recorded) -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "I will not."}
    anthropic.plays(
        started(),
        *thinking(0, "hm", "sig"),
        *stopped("refusal", stop_details=details),
    )
    with pytest.raises(ProviderError) as refused:
        await anthropic.ask(user())
    assert (refused.value.kind, refused.value.retryable) == ("content_filter", False)
    assert refused.value.detail == "I will not."
