"""The servers themselves: they refuse what their vendors refuse, or prove nothing."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import httpx2
import pytest

from tests.fixtures.anthropic_server import VERSION, AnthropicServer
from tests.fixtures.model_servers import ModelServer
from tests.fixtures.openai_server import OpenAIServer

Change = Callable[[dict[str, Any]], Any]

TOOL_USE = {"type": "tool_use", "id": "c1", "name": "clock", "input": {}}
TOOL_RESULT = {"type": "tool_result", "tool_use_id": "c1", "content": "noon"}
SEAL = "a seal for tests"
SEALED = AnthropicServer(seal=SEAL)
"""What a server with this seal has said."""
PAGE = "https://example.org/noon"
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": SEALED.sealed("hm")}
REDACTED = {"type": "redacted_thinking", "data": SEALED.redacted("hm")}
SEARCH = {
    "type": "server_tool_use",
    "id": "srvtoolu_1",
    "name": "web_search",
    "input": {"query": "noon"},
}
FOUND = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [
        {
            "type": "web_search_result",
            "url": PAGE,
            "title": "Noon",
            "encrypted_content": SEALED.sealed(PAGE),
        }
    ],
}
CITED = {
    "type": "text",
    "text": "Noon it is.",
    "citations": [
        {
            "type": "web_search_result_location",
            "url": PAGE,
            "title": "Noon",
            "cited_text": "noon",
            "encrypted_index": SEALED.sealed(PAGE),
        }
    ],
}
CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "clock", "arguments": "{}"},
}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "noon"}


def anthropic_body() -> dict[str, Any]:
    return {
        "model": "claude-opus-5-5",
        "max_tokens": 100,
        "stream": True,
        "system": "be brief",
        "tools": [{"name": "clock", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": "time?"},
            {
                "role": "assistant",
                "content": [THOUGHT, REDACTED, SEARCH, FOUND, CITED, TOOL_USE],
            },
            {"role": "user", "content": [TOOL_RESULT, {"type": "text", "text": "x"}]},
        ],
    }


def openai_body() -> dict[str, Any]:
    parameters = {"type": "object", "properties": {}}
    function = {"name": "clock", "description": "", "parameters": parameters}
    return {
        "model": "gpt-5",
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [{"type": "function", "function": function}],
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "time?"},
            CALLS,
            RESULT,
        ],
    }


def put(path: str, value: object) -> Change:
    """A change of the value at a path such as `messages.0.role`."""

    def change(body: dict[str, Any]) -> None:
        *steps, last = path.split(".")
        at: Any = body
        for step in steps:
            at = at[int(step)] if step.isdigit() else at[step]
        at[int(last) if last.isdigit() else last] = value

    return change


async def post(server: ModelServer, body: object, **headers: str) -> httpx2.Response:
    given = {
        "authorization": f"Bearer {server.key}",
        "anthropic-version": VERSION,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    url = server.url.removesuffix("/v1") + server.path
    async with httpx2.AsyncClient(trust_env=False) as client:
        return await client.post(url, json=body, headers=given)


WRONG_FOR_ANTHROPIC: dict[str, Change] = {
    "no model": put("model", ""),
    "no limit": put("max_tokens", 0),
    "no stream": put("stream", False),
    "removed parameter": put("temperature", 1.0),
    "empty system": put("system", ""),
    "no messages": put("messages", []),
    "first message of the assistant": put("messages.0.role", "assistant"),
    "two of the user": put("messages.1.role", "user"),
    "empty text": put("messages.0.content", " "),
    "empty content": put("messages.0.content", []),
    "unknown field": put("messages.0.id", 1),
    "prefill": lambda body: body["messages"].append(
        {"role": "assistant", "content": "It is"}
    ),
    "signature of another text": put(
        "messages.1.content.0", {**THOUGHT, "thinking": "hm!"}
    ),
    "reasoning at the end": put("messages.1.content", [TOOL_USE, THOUGHT]),
    "arguments as text": put("messages.1.content.5", {**TOOL_USE, "input": "{}"}),
    "id with a dot": put("messages.1.content.5", {**TOOL_USE, "id": "c.1"}),
    "id twice": put("messages.1.content", [TOOL_USE, TOOL_USE]),
    "call without result": put("messages.2.content", "x"),
    "result without call": put("messages.1.content", "x"),
    "result after text": put(
        "messages.2.content", [{"type": "text", "text": "x"}, TOOL_RESULT]
    ),
    "tool without schema": put("tools.0", {"name": "clock"}),
    "tool twice": lambda body: body["tools"].append(body["tools"][0]),
    "no properties": put("tools.0.input_schema.properties", None),
    "tools gone": lambda body: body.pop("tools"),
    "no limit at all": lambda body: body.pop("max_tokens"),
    "reasoning of another server": put(
        "messages.1.content.0.signature", AnthropicServer(seal="x").sealed("hm")
    ),
    "redacted by another server": put(
        "messages.1.content.1.data", AnthropicServer(seal="x").redacted("hm")
    ),
    "search without result": lambda body: body["messages"][1]["content"].pop(3),
    "result without search": lambda body: body["messages"][1]["content"].pop(2),
    "result before its search": put(
        "messages.1.content", [THOUGHT, FOUND, SEARCH, TOOL_USE]
    ),
    "search with the id of a call": put("messages.1.content.2.id", "toolu_1"),
    "pages of another server": put(
        "messages.1.content.3.content.0.encrypted_content", "x"
    ),
    "citation of another server": put(
        "messages.1.content.4.citations.0.encrypted_index", "x"
    ),
    "search of the user's": put("messages.0.content", [SEARCH, FOUND]),
    "image that is none": put(
        "messages.0.content",
        [{"type": "image", "source": {"type": "url", "url": PAGE}}],
    ),
    "five cache hints": lambda body: [
        block.update(cache_control={"type": "ephemeral"})
        for block in (
            body["tools"][0],
            *body["messages"][1]["content"][2:5],
            body["messages"][2]["content"][0],
        )
    ],
    "cache hint of no kind": put("tools.0.cache_control", {"type": "forever"}),
    "cache hint on reasoning": put(
        "messages.1.content.0.cache_control", {"type": "ephemeral"}
    ),
    "choice of no tool": put("tool_choice", {"type": "tool", "name": "sun"}),
    "unknown choice": put("tool_choice", {"type": "maybe"}),
    "effort": put("output_config", {"effort": "heroic"}),
    "unknown server tool": put("tools.0", {"type": "magic_20260101", "name": "magic"}),
    "no budget": put("thinking", {"type": "enabled", "budget_tokens": 10}),
}

WRONG_FOR_OPENAI: dict[str, Change] = {
    "no model": put("model", ""),
    "no stream": put("stream", False),
    "no usage": put("stream_options", {}),
    "unknown parameter": put("thinking", True),
    "no messages": put("messages", []),
    "unknown role": put("messages.0.role", "robot"),
    "empty text": put("messages.1.content", ""),
    "unknown field": put("messages.1.id", 1),
    "no tools": put("tools", []),
    "null required": put("tools.0.function.parameters.required", None),
    "null properties": put("tools.0.function.parameters.properties", None),
    "name with a dot": put("tools.0.function.name", "ns.clock"),
    "no result": lambda body: body["messages"].pop(),
    "text instead of a result": put("messages.3", {"role": "user", "content": "x"}),
    "result of another call": put("messages.3", {**RESULT, "tool_call_id": "c2"}),
    "result without call": put("messages.2", {"role": "assistant", "content": "x"}),
    "no calls": put("messages.2", {**CALLS, "tool_calls": []}),
    "arguments that are no JSON": put(
        "messages.2.tool_calls",
        [{**CALL, "function": {"name": "clock", "arguments": "{"}}],
    ),
    "id too long": put("messages.2.tool_calls", [{**CALL, "id": "c" * 41}]),
    "effort": put("reasoning_effort", "heroic"),
    "id twice": lambda body: body["messages"].extend([CALLS, RESULT]),
    "reasoning of another server": put("messages.2.reasoning_content", "hm"),
    "image in a system message": put(
        "messages.0.content",
        [{"type": "image_url", "image_url": {"url": "data:image/png;base64,eA=="}}],
    ),
    "image that is none": put(
        "messages.1.content",
        [{"type": "image_url", "image_url": {"url": "data:image/png;base64,!"}}],
    ),
    "document without a name": put(
        "messages.1.content",
        [{"type": "file", "file": {"file_data": "data:application/pdf;base64,eA=="}}],
    ),
    "choice of no tool": put(
        "tool_choice", {"type": "function", "function": {"name": "sun"}}
    ),
    "choice without tools": lambda body: body.update(
        tool_choice="none", tools=body.pop("tools")[:0] or None
    ),
    "two limits": lambda body: body.update(max_tokens=9, max_completion_tokens=9),
    "no limit": put("max_completion_tokens", 0),
    "temperature": put("temperature", "hot"),
}


@pytest.mark.parametrize("wrong", WRONG_FOR_ANTHROPIC)
async def test_anthropic_refuses(wrong: str) -> None:
    body = deepcopy(anthropic_body())
    WRONG_FOR_ANTHROPIC[wrong](body)
    async with AnthropicServer(seal=SEAL) as server:
        answer = await post(server, body)
    assert answer.status_code == 400
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("wrong", WRONG_FOR_OPENAI)
async def test_openai_refuses(wrong: str) -> None:
    body = deepcopy(openai_body())
    WRONG_FOR_OPENAI[wrong](body)
    async with OpenAIServer() as server:
        answer = await post(server, body)
    assert answer.status_code == 400
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("make", "body"),
    [(AnthropicServer, anthropic_body()), (OpenAIServer, openai_body())],
)
async def test_what_is_right_is_answered(
    make: type[ModelServer], body: dict[str, Any]
) -> None:
    async with make(seal=SEAL) as server:
        answer = await post(server, body)
        wrong_key = await post(server, body, authorization="Bearer x")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/event-stream"
    assert wrong_key.status_code == 401


@pytest.mark.parametrize("make", [AnthropicServer, OpenAIServer])
async def test_a_body_that_is_no_object_is_refused(make: type[ModelServer]) -> None:
    async with make() as server:
        assert (await post(server, [])).status_code == 400


async def test_another_version_of_the_api_is_refused() -> None:
    async with AnthropicServer() as server:
        answer = await post(server, anthropic_body(), anthropic_version="2020-01-01")
    assert answer.status_code == 400
