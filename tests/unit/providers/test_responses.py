"""OpenAI's Responses API from end to end, against recorded events."""

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
    ToolInputDelta,
    ToolInputStart,
    ToolResult,
    UsageReport,
)
from tests.builders import result, tool, user
from tests.unit.providers.events import Items, response
from tests.unit.providers.recorded import Recorded, recorded, said

ME = "openai-responses"


@pytest_asyncio.fixture
async def openai() -> AsyncIterator[Recorded]:
    async with recorded("responses") as made:
        yield made


def plays(to: Recorded, *items: Any, **end: Any) -> Items:
    made = Items()
    to.plays(made.created(), *items, made.completed(**end))
    return made


LONG = "ws_" + "1" * 50


async def answer(openai: Recorded) -> list[Any]:
    """One of everything."""
    made = Items()
    cite = {
        "type": "url_citation",
        "start_index": 3,
        "end_index": 14,
        "url": "https://a.b",
        "title": "A",
    }
    openai.plays(
        made.created(),
        *made.reasoning("rs_1", "first", "second", key="k1"),
        *made.search(LONG, "q"),
        *made.reasoning("rs_2", key="k2"),
        *made.text("msg_1", "so ", "https://a.b", cites=(cite,)),
        *made.call("fc_1", "call_1", "clock", '{"a":', "1}"),
        made.completed(),
    )
    return await openai.ask(user("?"))


async def test_everything_is_told_in_its_order(openai: Recorded) -> None:
    deltas = await answer(openai)
    search = {"provider": ME, "id": LONG}
    assert deltas[:-1] == [
        Opened(),
        ReasoningDelta(""),
        ReasoningDelta("first"),
        ReasoningDelta("\n\n"),
        ReasoningDelta("second"),
        BlockEnd({"provider": ME, "id": "rs_1", "signature": "k1", "lengths": [5, 6]}),
        ToolCall(
            LONG[:40], "web_search", {"type": "search", "query": "q"}, True,
            {**search, "after": "rs_1"},
        ),
        ToolResult(
            LONG[:40], "web_search", {"status": "completed"}, provider_metadata=search
        ),
        ReasoningDelta(""),
        BlockEnd({"provider": ME, "id": "rs_2", "signature": "k2"}),
        TextDelta("so "),
        TextDelta("https://a.b"),
        BlockEnd(
            {
                "provider": ME,
                "after": "rs_2",
                "id": "msg_1",
                "details": {
                    "phase": "final_answer",
                    "citations": [
                        {
                            "type": "url_citation",
                            "start_index": 3,
                            "end_index": 14,
                            "url": "https://a.b",
                            "title": "A",
                        }
                    ],
                },
            }
        ),
        Source("source_1", "https://a.b", "A"),
        ToolInputStart("call_1", "clock"),
        ToolInputDelta("call_1", "clock", '{"a":'),
        ToolInputDelta("call_1", "clock", "1}"),
        ToolCall(
            "call_1", "clock", {"a": 1},
            provider_metadata={"provider": ME, "id": "fc_1"},
        ),
        UsageReport(
            Usage(
                input_tokens=10,
                output_tokens=20,
                total_tokens=130,
                reasoning_tokens=5,
                cache_read_tokens=100,
            )
        ),
    ]  # fmt: skip
    assert isinstance(deltas[-1], Finish)
    assert deltas[-1].reason == "tool_calls"


async def test_the_final_word_is_kept_without_what_was_said(openai: Recorded) -> None:
    plays(openai, output=[{"type": "message"}])
    end = (await openai.ask(user()))[-1]
    assert isinstance(end, Finish)
    assert end.response is not None
    assert end.response["id"] == "resp_1"
    assert end.response["usage"] == {
        "input_tokens": 110,
        "output_tokens": 20,
        "total_tokens": 130,
        "input_tokens_details": {"cached_tokens": 100},
        "output_tokens_details": {"reasoning_tokens": 5},
    }
    assert not {"output", "instructions", "tools"} & end.response.keys()


async def test_all_of_it_goes_back_as_it_came(openai: Recorded) -> None:
    told = said(await answer(openai))
    plays(openai)
    await openai.ask(user("?"), told, tool(result("call_1")), user("and?"))
    assert openai.requests[-1]["input"] == [
        {"role": "user", "content": "?"},
        {
            "type": "reasoning",
            "id": "rs_1",
            "encrypted_content": "k1",
            "summary": [
                {"type": "summary_text", "text": "first"},
                {"type": "summary_text", "text": "second"},
            ],
        },
        {
            "type": "web_search_call",
            "id": LONG,
            "status": "completed",
            "action": {"type": "search", "query": "q"},
        },
        {"type": "reasoning", "id": "rs_2", "encrypted_content": "k2", "summary": []},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [
                {
                    "type": "output_text",
                    "text": "so https://a.b",
                    "annotations": [
                        {
                            "type": "url_citation",
                            "start_index": 3,
                            "end_index": 14,
                            "url": "https://a.b",
                            "title": "A",
                        }
                    ],
                }
            ],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "clock",
            "arguments": '{"a":1}',
        },
        {"type": "function_call_output", "call_id": "call_1", "output": "noon"},
        {"role": "user", "content": "and?"},
    ]


@pytest.mark.parametrize("other", ["chat", "messages"])
async def test_another_api_gets_none_of_it(openai: Recorded, other: Any) -> None:
    told = said(await answer(openai))
    async with recorded(other) as elsewhere:
        with pytest.raises(IndexError):
            elsewhere.bodies.pop()
        elsewhere.plays()
        with pytest.raises(ProviderError):
            await elsewhere.ask(user("?"), told, tool(result("call_1")))
        sent = str(elsewhere.requests[-1])
    assert "so https://a.b" in sent
    for private in ("rs_1", "msg_1", "fc_1", LONG, "k1", "first", "web_search"):
        assert private not in sent


@pytest.mark.parametrize(
    ("reason", "ours"),
    [("max_output_tokens", "length"), ("content_filter", "content_filter")],
)
async def test_an_answer_may_be_incomplete(
    openai: Recorded, reason: str, ours: str
) -> None:
    made = Items()
    told = response(status="incomplete", incomplete_details={"reason": reason})
    openai.plays(
        made.created(),
        *made.text("msg_1", "so"),
        made.event("incomplete", response=told),
    )
    end = (await openai.ask(user()))[-1]
    assert isinstance(end, Finish)
    assert end.reason == ours


async def test_a_refusal_is_an_error(openai: Recorded) -> None:
    made = Items()
    openai.plays(
        made.created(), *made.refusal("msg_1", "I will not."), made.completed()
    )
    with pytest.raises(ProviderError) as refused:
        await openai.ask(user())
    assert (refused.value.kind, refused.value.retryable) == ("content_filter", False)
    assert refused.value.detail == "I will not."


async def test_a_refusal_after_an_answer_is_its_end(openai: Recorded) -> None:
    made = Items()
    openai.plays(
        made.created(),
        *made.text("msg_1", "so"),
        *made.refusal("msg_2", "I will not."),
        made.completed(),
    )
    end = (await openai.ask(user()))[-1]
    assert isinstance(end, Finish)
    assert end.reason == "content_filter"


@pytest.mark.parametrize("error", [None, {"code": "server_error", "message": "oops"}])
async def test_a_failed_response_may_be_asked_again(
    openai: Recorded, error: Any
) -> None:
    made = Items()
    told = response(status="failed", error=error)
    openai.plays(made.created(), made.event("failed", response=told))
    with pytest.raises(ProviderError) as failed:
        await openai.ask(user())
    assert failed.value.retryable


async def test_a_response_without_its_end_is_none(openai: Recorded) -> None:
    made = Items()
    openai.plays(made.created(), *made.text("msg_1", "all that there is"))
    with pytest.raises(ProviderError) as cut:
        await openai.ask(user())
    assert (cut.value.kind, cut.value.retryable) == ("timeout", True)


async def test_a_search_that_failed_is_an_error(openai: Recorded) -> None:
    made = Items()
    openai.plays(
        made.created(), *made.search("ws_1", "q", status="failed"), made.completed()
    )
    (found,) = (d for d in await openai.ask(user()) if isinstance(d, ToolResult))
    assert found.is_error
