"""Calls that a vendor executed: which go back and to whom, and what of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.parts import Part, TextPart, ToolCallPart, ToolResultPart
from service.providers.files import ANTHROPIC
from service.providers.hosted import HostedCall, HostedResult
from service.providers.prompt import prompt_of
from service.providers.turns import AssistantTurn, Text, UserTurn
from tests.property.providers.histories import message

PAGES: list[Any] = [{"type": "web_search_result", "url": "https://a.b", "title": "A"}]


def mine(item_id: str = "s1", **more: Any) -> dict[str, Any]:
    return {"provider": "me", "id": item_id, **more}


def search(
    item_id: str = "s1", *, tool: str = "web_search", **fields: Any
) -> ToolCallPart:
    given = {"args": {"query": "q"}, "provider_metadata": mine(item_id), **fields}
    return ToolCallPart(
        tool_call_id=f"log_{item_id}", tool_name=tool, provider_executed=True, **given
    )


def found(
    item_id: str = "s1", *, tool: str = "web_search", **fields: Any
) -> ToolResultPart:
    given = {"result": PAGES, "provider_metadata": mine(item_id), **fields}
    return ToolResultPart(
        tool_call_id=f"log_{item_id}", tool_name=tool, provider_executed=True, **given
    )


def told(*parts: Part, identity: str = "me") -> list[object]:
    history = [message("user", TextPart(text="?")), message("assistant", *parts)]
    prompt = prompt_of(history, identity=identity, files={}, accepts=ANTHROPIC)
    return [
        part
        for turn in prompt.turns
        if isinstance(turn, AssistantTurn)
        for part in turn.parts
    ]


SO = TextPart(text="so")
CALL = HostedCall("s1", "web_search", {"query": "q"}, mine())
RESULT = HostedResult("s1", "web_search", PAGES, mine())


def test_a_pair_goes_back_to_the_one_who_made_it() -> None:
    assert told(search(), found(), SO) == [CALL, RESULT, Text("so")]


def test_nobody_else_gets_either() -> None:
    assert told(search(), found(), SO, identity="you") == [Text("so")]
    unmarked = (search(provider_metadata=None), found(provider_metadata=None))
    assert told(*unmarked, SO) == [Text("so")]


@pytest.mark.parametrize(
    "parts",
    [
        (search(),),
        (search(args=None), found(result={"status": "failed"})),
        (search(tool="code_execution"), found(tool="code_execution")),
        (search(), found(result="text")),
        (search(), found(provider_metadata=None)),
    ],
    ids=["no result", "no arguments", "another tool", "no pages", "not marked"],
)
def test_what_is_no_pair_is_left_out(parts: tuple[Part, ...]) -> None:
    assert told(*parts, SO) == [Text("so")]


def test_a_result_without_its_call_is_told_as_text() -> None:
    text = Text("Found on the web:\n- A https://a.b")
    assert told(found(), SO) == [text, Text("so")]
    assert told(found(), search(), SO) == [text, Text("so")]


def test_each_pair_is_told_once() -> None:
    assert told(search(), found(), search(), found()) == [CALL, RESULT]
    assert told(search(), search(), found(), found()) == [CALL, RESULT]
    history = [message("assistant", search(), found())] * 2
    prompt = prompt_of(history, identity="me", files={}, accepts=ANTHROPIC)
    (turn,) = (t for t in prompt.turns if isinstance(t, AssistantTurn))
    assert turn.parts == [CALL, RESULT]


def test_searches_may_overlap() -> None:
    parts = told(search("s1"), search("s2"), found("s2"), found("s1"))
    assert [getattr(part, "id", None) for part in parts] == ["s1", "s2", "s2", "s1"]


def test_only_answers_hold_them() -> None:
    history = [
        message("user", search(), found(), TextPart(text="?")),
        message("tool", found()),
    ]
    prompt = prompt_of(history, identity="me", files={}, accepts=ANTHROPIC)
    assert list(prompt.turns) == [UserTurn(said=[("?",)])]


def test_a_text_whose_search_is_gone_cites_nothing() -> None:
    cited: dict[str, Any] = {
        "provider": "me",
        "details": {"citations": [{"url": "https://a.b"}]},
    }
    text = TextPart(text="so", provider_metadata=cited)
    assert told(search(), found(), text)[-1] == Text("so", cited)
    assert told(search(), text) == [Text("so")]
