"""What Anthropic is asked, as it goes out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from service.domain.parts import FilePart, ReasoningPart
from service.providers.provider import FileContent
from service.tools.clock import SPEC
from tests.builders import assistant, call, result, tool, user
from tests.unit.providers.events import spoken, started, stopped
from tests.unit.providers.recorded import Recorded, recorded

HINT = {"type": "ephemeral", "ttl": "5m"}

OLD = "claude-sonnet-4-5"


@pytest_asyncio.fixture
async def anthropic() -> AsyncIterator[Recorded]:
    async with recorded("messages") as made:
        yield made


def plays(to: Recorded) -> None:
    to.plays(started(), *spoken(0, "ok"), *stopped("end_turn"))


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


async def test_who_may_not_call_does_not_search(anthropic: Recorded) -> None:
    plays(anthropic)
    options = {"web_search": True}
    await anthropic.ask(user("a title?"), tool_choice="none", options=options)
    assert not {"tools", "tool_choice"} & anthropic.requests[0].keys()


async def test_calls_of_another_model_are_answered_without_a_budget(
    anthropic: Recorded,
) -> None:
    """The vendor wants the last calls to begin with a thought that it has signed."""
    mine = {"provider": "anthropic", "signature": "sig"}
    thought = ReasoningPart(text="hm", provider_metadata=mine)
    for said, thinks in (((call(),), False), ((thought, call()), True)):
        plays(anthropic)
        await anthropic.ask(
            user("?"), assistant(*said), tool(), model=OLD, reasoning_effort="low"
        )
        assert ("thinking" in anthropic.requests[-1]) == thinks
    plays(anthropic)
    await anthropic.ask(user("?"), assistant(call()), tool(), reasoning_effort="low")
    assert anthropic.requests[-1]["thinking"] == {"type": "adaptive"}
