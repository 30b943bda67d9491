"""Anthropic's messages from end to end, against recorded events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from service.domain.events.chat import Usage
from service.providers.provider import (
    BlockEnd,
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
from tests.builders import user
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

CITE: dict[str, Any] = {
    "type": "web_search_result_location",
    "url": "https://a.b",
    "title": "A",
    "encrypted_index": "Eo8B",
    "cited_text": "words",
}

SEARCHES = {"web_search": True}

PAGES: list[Any] = [page("https://a.b", "A"), page("https://c.d", "C")]


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
