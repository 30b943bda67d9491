"""What OpenAI's Responses API is asked, as it goes out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio

from service.domain.parts import FilePart
from service.providers.provider import FileContent
from service.tools.clock import SPEC
from tests.builders import user
from tests.unit.providers.events import Items
from tests.unit.providers.recorded import Recorded, recorded


@pytest_asyncio.fixture
async def openai() -> AsyncIterator[Recorded]:
    async with recorded("responses") as made:
        yield made


def plays(to: Recorded) -> None:
    made = Items()
    to.plays(made.created(), made.completed())


async def test_a_request_says_all_that_was_asked_for(openai: Recorded) -> None:
    plays(openai)
    await openai.ask(
        user("?"),
        tools=[SPEC],
        system=("one", "two"),
        session="family",
        reasoning_effort="high",
        max_output_tokens=500,
        tool_choice="none",
        options={
            "store": False,
            "verbosity": "low",
            "reasoning_summary": "concise",
            "service_tier": "flex",
            "parallel_tool_calls": False,
            "web_search": True,
            "extra_body": {"user": "x"},
        },
    )
    (body,) = openai.requests
    searches, clock = body.pop("tools")
    assert searches["type"] == "web_search"
    assert (clock["type"], clock["name"], clock["strict"]) == (
        "function", "clock", False,
    )  # fmt: skip
    assert body.pop("input") == [
        {"role": "system", "content": "one"},
        {"role": "system", "content": "two"},
        {"role": "user", "content": "?"},
    ]
    assert body == {
        "model": "gpt-5",
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "high", "summary": "concise"},
        "text": {"verbosity": "low"},
        "service_tier": "flex",
        "prompt_cache_key": "family",
        "max_output_tokens": 500,
        "tool_choice": "none",
        "parallel_tool_calls": False,
        "user": "x",
    }


async def test_a_plain_request_says_no_more_than_it_must(openai: Recorded) -> None:
    plays(openai)
    await openai.ask(user("?"))
    assert openai.requests == [
        {
            "model": "gpt-5",
            "stream": True,
            "include": ["reasoning.encrypted_content"],
            "input": [{"role": "user", "content": "?"}],
        }
    ]


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [("gpt-5", "none", "minimal"), ("gpt-5.1", "none", "none"), ("o3", "max", "high")],
)
async def test_effort_is_as_near_as_the_model_comes(
    openai: Recorded, model: str, effort: str, sent: str
) -> None:
    plays(openai)
    await openai.ask(user("?"), model=model, reasoning_effort=effort)
    assert openai.requests[0]["reasoning"] == {"effort": sent}


async def test_models_that_do_not_think_are_not_asked_for_thoughts(
    openai: Recorded,
) -> None:
    plays(openai)
    await openai.ask(
        user("?"), model="gpt-4.1", reasoning_effort="high", temperature=0.5
    )
    (body,) = openai.requests
    assert "include" not in body
    assert "reasoning" not in body
    assert body["temperature"] == 0.5


async def test_models_that_think_are_not_told_how_to_sample(openai: Recorded) -> None:
    plays(openai)
    await openai.ask(user("?"), temperature=0.0, options={"top_p": 0.5, "top_k": 3})
    assert openai.requests[0].keys() == {"model", "stream", "include", "input"}


async def test_files_go_by_their_names(openai: Recorded) -> None:
    plays(openai)
    one, two = UUID(int=1), UUID(int=2)
    await openai.ask(
        user(
            "look",
            FilePart(file_id=one, media_type="image/png"),
            FilePart(file_id=two, media_type="application/pdf"),
        ),
        files={
            one: FileContent("image/png", b"png", "a.png"),
            two: FileContent("application/pdf", b"pdf", "b.pdf"),
        },
    )
    assert openai.requests[0]["input"][0]["content"] == [
        {"type": "input_text", "text": "look"},
        {
            "type": "input_image",
            "image_url": "data:image/png;base64,cG5n",
            "detail": "auto",
        },
        {
            "type": "input_file",
            "filename": "b.pdf",
            "file_data": "data:application/pdf;base64,cGRm",
        },
    ]
