"""What only the Responses API has: items that go back as they came, under their ids."""

from __future__ import annotations

from typing import Any

import pytest

from service.providers.provider import ProviderError
from tests.builders import result, tool, user
from tests.fixtures.lines import SHOWN, Line, message_of, reasoning_of
from tests.fixtures.moves import (
    Call,
    Fail,
    Finish,
    Interleaved,
    Page,
    Say,
    Search,
    Think,
)
from tests.fixtures.responses_server import ResponsesServer

OPTIONS = {**SHOWN, "web_search": True}
PAGE = Page("https://example.org/noon", "Noon")


def input_of(opened: Line) -> list[dict[str, Any]]:
    """The items of the last request."""
    items: list[dict[str, Any]] = opened.server.requests[-1].body["input"]
    return items


def issued(opened: Line) -> dict[str, dict[str, Any]]:
    """Items as the server had answered them."""
    assert isinstance(opened.server, ResponsesServer)
    return {item_id: it.item for item_id, it in opened.server.issued.items()}


async def answered(opened: Line, **options: Any) -> list[dict[str, Any]]:
    """What goes back of an answer with everything in it."""
    opened.server.answer(
        Think(("I ", "search"), more=(("and",), ("look",))),
        Search("noon", (PAGE,)),
        Think(("found",)),
        Interleaved((Call("c1", "clock", ("{}",)), Call("c2", "clock", ("{}",)))),
        Finish("tool_calls"),
    )
    how = {"effort": "low", "options": {**OPTIONS, **options}}
    said = message_of(await opened.ask(user("time?"), **how))
    opened.server.answer(Say(("Noon.",)), Finish())
    await opened.ask(user("time?"), said, tool(result("c1"), result("c2")), **how)
    assert opened.server.refused == []
    return input_of(opened)


@pytest.mark.parametrize("store", [None, True, False])
async def test_items_go_back_unchanged(responses: Line, store: bool | None) -> None:
    options = {} if store is None else {"store": store}
    items = await answered(responses, **options)
    body = responses.server.requests[-1].body
    assert body.get("store") is store
    assert [item.get("type", item.get("role")) for item in items] == [
        "user", "reasoning", "web_search_call", "reasoning", "function_call",
        "function_call", "function_call_output", "function_call_output",
    ]  # fmt: skip
    was = issued(responses)
    for item in items[1:6]:
        for name, value in item.items():
            if name != "action":
                assert value == was[item["id"]][name], name
    first = items[1]["summary"]
    assert [part["text"] for part in first] == ["I search", "and", "look"]
    assert items[2]["action"]["query"] == "noon"


async def test_an_answer_goes_back_as_a_message(responses: Line) -> None:
    responses.server.answer(Think(("hm",)), Say(("Noon.",), (PAGE,)), Finish())
    said = message_of(await responses.ask(user("time?"), effort="low", options=OPTIONS))
    responses.server.answer(Say(("Yes.",)), Finish())
    await responses.ask(user("time?"), said, user("sure?"), options=OPTIONS)
    _, thought, message, _ = input_of(responses)
    assert thought["type"] == "reasoning"
    assert message["id"] in issued(responses)
    assert message["content"][0]["text"] == "Noon."
    assert responses.server.refused == []


async def test_a_thought_without_a_summary_is_kept(responses: Line) -> None:
    """Nothing can be read of it; without it the call would be refused."""
    responses.server.answer(
        Think(("hm",)), Call("c1", "clock", ("{}",)), Finish("tool_calls")
    )
    deltas = await responses.ask(user("time?"), effort="low", options={})
    assert reasoning_of(deltas) == ""
    responses.server.answer(Say(("Noon.",)), Finish())
    await responses.ask(user("time?"), message_of(deltas), tool(result("c1")))
    assert [i.get("type") for i in input_of(responses)][1:3] == [
        "reasoning",
        "function_call",
    ]
    assert responses.server.refused == []


async def test_the_whole_history_is_told_every_time(responses: Line) -> None:
    """No response is continued by its id: edits and forks would break that."""
    await answered(responses)
    body = responses.server.requests[-1].body
    assert "previous_response_id" not in body
    assert "conversation" not in body


async def test_requests_that_begin_alike_say_so(responses: Line) -> None:
    await responses.ask(user("count 3"), session="chat-1")
    assert responses.server.requests[-1].body["prompt_cache_key"] == "chat-1"


@pytest.mark.parametrize("bare", [True, False])
async def test_what_a_failure_says_is_told(responses: Line, bare: bool) -> None:
    responses.server.answer(
        Say(("x",)), Fail("rate_limit_exceeded", "Slow down", bare=bare)
    )
    with pytest.raises(ProviderError) as failed:
        await responses.ask(user())
    assert (failed.value.kind, failed.value.retryable) == ("rate_limit", True)
    assert failed.value.detail == "Slow down"


async def test_reasoning_without_an_answer_goes_nowhere(responses: Line) -> None:
    """The API refuses a reasoning item that nothing follows."""
    responses.server.answer(Think(("hm",)), Finish())
    said = message_of(await responses.ask(user("why?"), effort="low"))
    responses.server.answer(Say(("so",)), Finish())
    await responses.ask(user("why?"), said, user("well?"), effort="low")
    assert [item.get("type") for item in input_of(responses)].count("reasoning") == 0
    assert responses.server.refused == []
