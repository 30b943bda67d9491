"""Chat completions from end to end, against recorded chunks."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from service.domain.events.chat import Usage
from service.domain.parts import FilePart
from service.providers.choose import Vendor, VendorModel, default_api
from service.providers.provider import (
    FileContent,
    Finish,
    Opened,
    ProviderError,
    TextDelta,
    UsageReport,
)
from service.tools.clock import SPEC
from tests.builders import user
from tests.unit.providers.events import chunk
from tests.unit.providers.recorded import Recorded, recorded

LOCAL = VendorModel("openai", "qwen3:8b", "http://local.test/v1", None)

USAGE: dict[str, Any] = {
    "prompt_tokens": 110,
    "completion_tokens": 20,
    "total_tokens": 130,
    "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 5},
}


def plays(to: Recorded, *, reason: str | None = "stop") -> None:
    to.plays(
        ": a proxy lives",
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "so"}),
        *([chunk(reason=reason)] if reason else []),
        {**chunk(usage=USAGE), "choices": []},
        "[DONE]",
    )


async def test_everything_is_told_in_its_order() -> None:
    async with recorded("chat") as openai:
        plays(openai)
        deltas = await openai.ask(user("?"))
    assert deltas == [
        Opened(),
        TextDelta("so"),
        deltas[2],
        UsageReport(
            Usage(
                input_tokens=6,
                output_tokens=20,
                total_tokens=130,
                reasoning_tokens=5,
                cache_read_tokens=100,
                cache_creation_tokens=4,
            )
        ),
        Finish(
            "stop",
            {
                "id": "chatcmpl-1",
                "object": "chat.completion.chunk",
                "created": 1_770_000_000,
                "model": "gpt-5",
                "finish_reason": "stop",
                "usage": USAGE,
            },
        ),
    ]


async def test_a_request_says_all_that_was_asked_for() -> None:
    async with recorded("chat") as openai:
        plays(openai)
        await openai.ask(
            user("?"),
            tools=[SPEC],
            system=("one", "two"),
            session="family",
            reasoning_effort="low",
            max_output_tokens=500,
            tool_choice="none",
            options={
                "store": True,
                "verbosity": "high",
                "service_tier": "priority",
                "web_search": True,
                "extra_body": {"user": "x"},
            },
        )
    (body,) = openai.requests
    (clock,) = body.pop("tools")
    assert clock["function"]["name"] == "clock"
    assert body == {
        "model": "gpt-5",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "system", "content": "one"},
            {"role": "system", "content": "two"},
            {"role": "user", "content": "?"},
        ],
        "reasoning_effort": "low",
        "max_completion_tokens": 500,
        "tool_choice": "none",
        "prompt_cache_key": "family",
        "store": True,
        "verbosity": "high",
        "service_tier": "priority",
        "user": "x",
    }


async def test_servers_of_others_are_asked_in_the_older_words() -> None:
    async with recorded(LOCAL) as local:
        plays(local)
        await local.ask(
            user("?"),
            session="family",
            max_output_tokens=500,
            temperature=0.5,
            reasoning_effort="max",
            options={"top_p": 0.9, "presence_penalty": 1, "frequency_penalty": -1},
        )
    (body,) = local.requests
    assert body == {
        "model": "qwen3:8b",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": "?"}],
        "max_tokens": 500,
        "temperature": 0.5,
        "top_p": 0.9,
        "presence_penalty": 1.0,
        "frequency_penalty": -1.0,
        "reasoning_effort": "xhigh",
    }


async def test_files_go_by_their_names() -> None:
    ids = [UUID(int=number) for number in range(4)]
    contents = [
        FileContent("image/png", b"png", "a.png"),
        FileContent("application/pdf", b"pdf", "b.pdf"),
        FileContent("audio/mp3", b"mp3", "c.mp3"),
        FileContent("text/csv", b"a,b", "d.csv"),
    ]
    parts = [
        FilePart(file_id=file_id, media_type=content.media_type)
        for file_id, content in zip(ids, contents, strict=True)
    ]
    files = dict(zip(ids, contents, strict=True))
    async with recorded("chat") as openai:
        plays(openai)
        await openai.ask(user("look", *parts), files=files)
    assert openai.requests[0]["messages"][0]["content"] == [
        {"type": "text", "text": "look"},
        {
            "type": "image_url",
            "image_url": {"url": "data:image/png;base64,cG5n", "detail": "auto"},
        },
        {
            "type": "file",
            "file": {
                "filename": "b.pdf",
                "file_data": "data:application/pdf;base64,cGRm",
            },
        },
        {"type": "input_audio", "input_audio": {"data": "bXAz", "format": "mp3"}},
        {"type": "text", "text": "Attachment d.csv (text/csv):\n```\na,b\n```"},
    ]


async def test_an_answer_without_a_reason_to_end_is_none() -> None:
    async with recorded("chat") as openai:
        plays(openai, reason=None)
        with pytest.raises(ProviderError) as cut:
            await openai.ask(user())
    assert (cut.value.kind, cut.value.retryable) == ("timeout", True)


@pytest.mark.parametrize(
    ("reason", "ours"),
    [("stop", "tool_calls"), ("tool_calls", "tool_calls"), ("length", "length")],
)
async def test_calls_are_the_reason_to_end(reason: str, ours: str) -> None:
    """Some servers say `stop` whatever the model wants."""
    made = {"name": "clock", "arguments": "{}"}
    called = {"index": 0, "id": "c1", "type": "function", "function": made}
    async with recorded(LOCAL) as local:
        local.plays(chunk({"tool_calls": [called]}), chunk(reason=reason), "[DONE]")
        end = (await local.ask(user()))[-1]
    assert isinstance(end, Finish)
    assert end.reason == ours


async def test_a_context_that_is_told_is_kept() -> None:
    async with recorded(LOCAL) as local:
        usage = {**USAGE, "limits": {"max_context_tokens": "32768"}}
        local.plays(chunk({"content": "x"}, "stop", usage=usage), "[DONE]")
        deltas = await local.ask(user())
    (report,) = (d for d in deltas if isinstance(d, UsageReport))
    assert report.usage.context_limit == 32768


@pytest.mark.parametrize("told", [2**63, -3])
async def test_what_is_no_number_of_tokens_is_not_counted(told: int) -> None:
    async with recorded("chat") as openai:
        usage = {"prompt_tokens": told, "completion_tokens": 5, "total_tokens": 9}
        openai.plays(
            chunk({"content": "so"}),
            chunk(reason="stop"),
            {**chunk(usage=usage), "choices": []},
            "[DONE]",
        )
        deltas = await openai.ask(user("?"))
    assert TextDelta("so") in deltas
    assert not any(isinstance(delta, UsageReport) for delta in deltas)
    assert isinstance(deltas[-1], Finish)


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
async def test_what_the_environment_says_goes_to_no_server_of_a_config(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_HEADERS"):
        monkeypatch.setenv(name, "X-Gateway: hush")
    monkeypatch.setenv("OPENAI_ORG_ID", "hush")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "hush")
    api = default_api(vendor, "http://other.test")
    for account, told in ((None, True), ("7", False)):
        model = VendorModel(vendor, "m", "http://other.test", "sk-1", api, account)
        async with recorded(model) as server:
            server.plays("[DONE]")
            with pytest.raises(ProviderError):
                await server.ask(user("?"))
        (headers,) = server.headers
        assert ("hush" in headers.values()) is told
        assert "sk-1" in " ".join(headers.values())
