"""The server of the Responses API: what OpenAI's own client reads from it and sends it.

It refuses what the API refuses, or it proves nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError

from tests.fixtures import moves
from tests.fixtures.responses_server import ENCRYPTED, SOURCES, ResponsesServer

Item = dict[str, Any]
Change = Callable[[list[Item]], Any]

USER = {"role": "user", "content": "time?"}
TOOL = {
    "type": "function",
    "name": "clock",
    "parameters": {"type": "object", "properties": {}},
    "strict": False,
}
PAGE = moves.Page("https://example.org/noon", "Noon")


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[AsyncOpenAI, ResponsesServer]]:
    async with (
        ResponsesServer() as server,
        AsyncOpenAI(api_key=server.key, base_url=server.url, max_retries=0) as client,
    ):
        yield client, server


async def ask(client: AsyncOpenAI, items: Any, **how: Any) -> list[Any]:
    """The events of an answer."""
    settings = {
        "model": "gpt-5",
        "tools": [TOOL],
        "store": False,
        "include": [ENCRYPTED, SOURCES],
        "reasoning": {"effort": "low", "summary": "auto"},
        **how,
    }
    stream = await client.responses.create(input=items, stream=True, **settings)
    return [event async for event in stream]


async def output(client: AsyncOpenAI, items: Any, **how: Any) -> list[Item]:
    """What an answer comes to, as it goes back."""
    last = (await ask(client, items, **how))[-1]
    return [item.model_dump(exclude_none=True) for item in last.response.output]


def play(server: ResponsesServer) -> None:
    """Reasoning, a search, reasoning, two calls."""
    server.answer(
        moves.Think(("I ", "search"), more=(("and", " look"),)),
        moves.Search("noon", (PAGE,)),
        moves.Think(("now ", "the clock")),
        moves.Interleaved(
            (
                moves.Call("c1", "clock", ('{"a"', ":1}")),
                moves.Call("c2", "clock", ("{}",)),
            )
        ),
        moves.Finish("tool_calls", moves.Tokens(5, 4, cache_read=3, reasoning=2)),
    )


RESULTS = [
    {"type": "function_call_output", "call_id": "c1", "output": "noon"},
    {"type": "function_call_output", "call_id": "c2", "output": "noon"},
]


async def test_events_are_numbered_and_tell_everything() -> None:
    async with opened() as (client, server):
        play(server)
        events = await ask(client, [USER])
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:3]] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
    ]
    last = events[-1]
    assert last.type == "response.completed"
    kinds = [item.type for item in last.response.output]
    assert kinds == [
        "reasoning",
        "web_search_call",
        "reasoning",
        "function_call",
        "function_call",
    ]
    thought, search, _, call, _ = last.response.output
    assert [part.text for part in thought.summary] == ["I search", "and look"]
    assert thought.encrypted_content == server.encrypted(thought.id)
    assert search.action.sources[0].url == PAGE.url
    assert (call.call_id, call.arguments, call.status) == ("c1", '{"a":1}', "completed")
    usage = last.response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (8, 4, 12)
    assert usage.input_tokens_details.cached_tokens == 3
    assert usage.output_tokens_details.reasoning_tokens == 2
    typed = [
        (event.output_index, event.delta)
        for event in events
        if event.type == "response.function_call_arguments.delta"
    ]
    assert typed == [(3, '{"a"'), (4, "{}"), (3, ":1}")]


async def test_text_with_citations() -> None:
    async with opened() as (client, server):
        server.answer(moves.Say(("It is ", "noon."), (PAGE,)), moves.Finish())
        events = await ask(client, "time?")
    (content,) = events[-1].response.output[0].content
    assert content.text == "It is noon."
    assert [note.url for note in content.annotations] == [PAGE.url]
    deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
    assert deltas == ["It is ", "noon."]


async def test_ends() -> None:
    async with opened() as (client, server):
        server.answer(moves.Say(("x",)), moves.Finish("length"))
        length = (await ask(client, "x"))[-1].response
        server.answer(moves.Finish("content_filter", refusal="No."))
        refused = (await ask(client, "x"))[-1].response
        server.answer(moves.Fail("server_error", "broken"))
        failed = (await ask(client, "x"))[-1].response
        server.answer(moves.Fail("server_error", "broken", bare=True))
        bare = (await ask(client, "x"))[-1]
    assert length.status == "incomplete"
    assert length.incomplete_details.reason == "max_output_tokens"
    assert refused.status == "completed"
    assert refused.output[0].content[0].refusal == "No."
    assert (failed.status, failed.error.code) == ("failed", "server_error")
    assert (bare.type, bare.code, bare.message) == ("error", "server_error", "broken")


async def test_reasoning_is_told_only_to_who_asks() -> None:
    async with opened() as (client, server):
        play(server)
        plain = await output(client, [USER], reasoning={"effort": "low"}, include=[])
    assert plain[0] == {"id": plain[0]["id"], "type": "reasoning", "summary": []}
    assert "sources" not in plain[1]["action"]


async def test_what_was_answered_goes_back_as_it_is() -> None:
    async with opened() as (client, server):
        play(server)
        said = await output(client, [USER])
        await ask(client, [USER, *said, *RESULTS], tool_choice="none")
        bare = [
            {key: value for key, value in item.items() if key != "id"}
            for item in said
            if item["type"] == "function_call"
        ]
        await ask(client, [USER, *bare, *RESULTS, USER])
    assert server.refused == []


def put(at: int, **fields: object) -> Change:
    return lambda items: items[at].update(fields)


def take(at: int) -> Change:
    return lambda items: items.pop(at)


WRONG: dict[str, tuple[Change, str]] = {
    "search without its reasoning": (take(1), "without its required 'reasoning' item"),
    "call without its reasoning": (take(3), "without its required 'reasoning' item"),
    "something between": (
        lambda items: items.insert(2, {"role": "assistant", "content": "x"}),
        "without its required",
    ),
    "reasoning alone": (take(2), "without its required following item"),
    "reasoning at the end": (
        lambda items: items.append(items.pop(1)),
        "without its required",
    ),
    "call without result": (take(-1), "No tool output found for function call c2"),
    "result without call": (take(5), "No tool call found for function call output"),
    "result before its call": (
        lambda items: items.insert(1, items.pop()),
        "No tool call found",
    ),
    "result twice": (lambda items: items.append(items[-1]), "Duplicate output"),
    "item twice": (lambda items: items.insert(6, items[5]), "Duplicate item"),
    "call twice": (
        lambda items: items.append({**_bare(items[4]), "arguments": "{}"}),
        "Duplicate function call",
    ),
    "encrypted content of another item": (
        lambda items: items[1].update(encrypted_content=items[3]["encrypted_content"]),
        "could not be verified",
    ),
    "nothing encrypted and nothing stored": (
        put(1, encrypted_content=None),
        "Items are not persisted",
    ),
    "an id from elsewhere": (put(5, id="fc_1"), "Item with id 'fc_1' not found"),
    "an id of another kind": (put(5, id="call_1"), "Expected an ID that begins with"),
    "another search": (
        lambda items: items[2]["action"].update(query="midnight"),
        "not what was answered",
    ),
    "arguments cut off": (put(4, arguments='{"a'), "not an object"),
    "call id too long": (put(4, call_id="c" * 65), "too long"),
    "name with a dot": (put(4, name="ns.clock"), "pattern"),
    "unknown field": (put(0, name="x"), "Unknown parameter"),
    "unknown item": (put(0, type="telepathy"), "Invalid value: 'telepathy'"),
    "unknown role": (put(0, role="robot"), "Invalid value: 'robot'"),
    "empty text": (put(0, content=" "), "empty"),
    "output text of a user": (
        put(0, content=[{"type": "output_text", "text": "x", "annotations": []}]),
        "in a message of user",
    ),
    "image that is none": (
        put(0, content=[{"type": "input_image", "image_url": "data:x"}]),
        "data URL",
    ),
    "nothing": (lambda items: items.clear(), "empty"),
}


def _bare(item: Item) -> Item:
    return {key: value for key, value in item.items() if key != "id"}


@pytest.mark.parametrize("wrong", WRONG)
async def test_it_refuses_items(wrong: str) -> None:
    change, reason = WRONG[wrong]
    async with opened() as (client, server):
        play(server)
        items = deepcopy([USER, *await output(client, [USER]), *RESULTS])
        change(items)
        with pytest.raises(BadRequestError, match=reason) as refused:
            await ask(client, items)
    body = refused.value.body
    assert isinstance(body, dict)
    assert body.keys() == {"message", "type", "param", "code"}
    assert body["type"] == "invalid_request_error"


SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown parameter": ({"extra_body": {"max_tokens": 5}}, "Unknown parameter"),
    "no model": ({"model": ""}, "model"),
    "effort": ({"reasoning": {"effort": "heroic"}}, "heroic"),
    "summary": ({"reasoning": {"summary": "long"}}, "long"),
    "include": ({"include": ["everything"]}, "everything"),
    "too short a limit": ({"max_output_tokens": 1}, "max_output_tokens"),
    "temperature": ({"temperature": 3}, "temperature"),
    "verbosity": ({"text": {"verbosity": "endless"}}, "endless"),
    "no tools": ({"tools": []}, "empty array"),
    "tool twice": ({"tools": [TOOL, TOOL]}, "unique"),
    "tool name": ({"tools": [{**TOOL, "name": "a.b"}]}, "pattern"),
    "tool schema": ({"tools": [{**TOOL, "parameters": {}}]}, "must be object"),
    "strict schema": (
        {
            "tools": [
                {
                    **TOOL,
                    "strict": True,
                    "parameters": {"type": "object", "properties": {"a": {}}},
                }
            ]
        },
        "strict",
    ),
    "unknown tool": ({"tools": [{"type": "magic"}]}, "magic"),
    "choice of another tool": (
        {"tool_choice": {"type": "function", "name": "sun"}},
        "not found in 'tools'",
    ),
    "cache key": ({"prompt_cache_key": "k" * 65}, "too long"),
    "earlier response": ({"previous_response_id": "resp_1"}, "Unknown parameter"),
}


@pytest.mark.parametrize("wrong", SETTINGS)
async def test_it_refuses_settings(wrong: str) -> None:
    how, reason = SETTINGS[wrong]
    async with opened() as (client, _):
        with pytest.raises(BadRequestError, match=reason):
            await ask(client, [USER], **how)


async def test_what_another_server_encrypted_is_refused() -> None:
    async with opened() as (client, server), opened() as (other, others):
        play(server)
        play(others)
        said, foreign = await output(client, [USER]), await output(other, [USER])
        said[0]["encrypted_content"] = foreign[0]["encrypted_content"]
        with pytest.raises(BadRequestError, match="could not be verified"):
            await ask(client, [USER, *said, *RESULTS])


async def test_a_parameter_that_the_model_does_not_take_is_named() -> None:
    async with opened() as (client, server):
        server.unsupported = frozenset({"temperature"})
        with pytest.raises(BadRequestError) as refused:
            await ask(client, [USER], temperature=0)
    assert refused.value.code == "unsupported_parameter"
    assert refused.value.param == "temperature"
