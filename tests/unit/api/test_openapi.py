"""The OpenAPI document is a contract."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.requests import Request

from service.api.docs import docs
from service.api.frames import CHAT_FRAMES, EVENT_FRAMES, WATCH_FRAMES, Frames
from service.api.routes import OPERATIONS, openapi_document
from service.api.schemas import (
    CreateChatBody,
    EditMessageBody,
    SendMessageBody,
    TicketBody,
    ToolResultsBody,
    UpdateChatBody,
)
from service.api.shapes import ChatShape, ProblemShape
from tests.fixtures.golden import Golden, pretty

STREAMS: Mapping[str, Frames] = {
    "/api/v1/chats/{chat_id}/stream": CHAT_FRAMES,
    "/api/v1/chats/{chat_id}/events": EVENT_FRAMES,
    "/api/v1/events": EVENT_FRAMES,
    "/api/v1/chats/watch": WATCH_FRAMES,
}
WITH_EXAMPLES = (
    CreateChatBody, SendMessageBody, EditMessageBody, UpdateChatBody,
    ToolResultsBody,
    TicketBody, ChatShape, ProblemShape,
)  # fmt: skip


UNKEYED = {"post_stream_tickets", "post_chats_one_title_propose"}
"""What leaves nothing that a repetition could find."""


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in openapi_document()["paths"].items():
        for operation in item.values():
            yield path, operation


def test_the_document_is_that_of_the_golden_file(golden: Golden) -> None:
    golden("openapi.json", pretty(openapi_document()))


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, operation in operations()]
    assert len(ids) == len(set(ids)) == len(OPERATIONS)


def test_each_parameter_says_what_it_is() -> None:
    silent = [
        (path, parameter["name"])
        for path, operation in operations()
        for parameter in operation["parameters"]
        if not parameter.get("description")
    ]
    assert silent == []


def test_each_stream_tells_its_frames_one_by_one() -> None:
    told = {}
    for path, operation in operations():
        media = operation["responses"].get("200", {}).get("content", {})
        if "text/event-stream" in media:
            blocks = media["text/event-stream"]["itemSchema"]["oneOf"]
            told[path] = [block["properties"]["event"]["const"] for block in blocks]
            for block in blocks:
                data = block["properties"]["data"]
                assert data["contentMediaType"] == "application/json"
                assert data["contentSchema"]["$ref"].startswith("#/components/")
    assert told == {path: [*frames] for path, frames in STREAMS.items()}


def test_an_older_tool_gets_streams_as_strings() -> None:
    document = openapi_document("3.1.0")
    assert document["openapi"] == "3.1.0"
    assert "itemSchema" not in pretty(document)
    media = document["paths"]["/api/v1/chats/watch"]["get"]["responses"]["200"]
    assert media["content"]["text/event-stream"] == {
        "schema": {"type": "string"},
        "x-sse-events": [*WATCH_FRAMES],
    }


def test_every_answer_to_a_command_tells_the_version() -> None:
    for path, operation in operations():
        if operation["operationId"].startswith("get_"):
            continue
        if "{chat_id}" in path or path == "/api/v1/chats":
            (answer,) = (a for s, a in operation["responses"].items() if s < "300")
            told = [*answer["headers"]]
            assert told[0] == "Parley-Version", path
            if operation["operationId"] not in UNKEYED:
                assert told[1] == "Idempotent-Replayed", path


def test_every_body_is_bounded_and_typed() -> None:
    for path, operation in operations():
        if "requestBody" in operation:
            assert {"400", "408", "413", "415"} <= set(operation["responses"]), path


def test_what_needs_a_token_says_how_it_is_refused() -> None:
    for path, operation in operations():
        if operation.get("security") == []:
            assert "401" not in operation["responses"]
            continue
        refusal = operation["responses"]["401"]["content"]
        assert [*refusal] == ["application/problem+json"], path


def test_every_command_takes_an_idempotency_key() -> None:
    taking = {
        operation["operationId"]
        for _, operation in operations()
        for parameter in operation["parameters"]
        if parameter["name"] == "Idempotency-Key"
    }
    commands = {
        operation["operationId"]
        for _, operation in operations()
        if not operation["operationId"].startswith("get_")
    }
    assert taking == commands - UNKEYED


@pytest.mark.parametrize("model", WITH_EXAMPLES)
def test_examples_are_what_they_are_examples_of(model: type[BaseModel]) -> None:
    schema = openapi_document()["components"]["schemas"][model.__name__]
    assert schema["examples"]
    for example in schema["examples"]:
        model.model_validate_json(pretty(example))


async def test_the_page_may_run_nothing_but_its_own_script() -> None:
    answer = await docs(Request({"type": "http"}))
    text, policy = bytes(answer.body).decode(), dict(answer.headers)
    allowed = policy["content-security-policy"]
    assert allowed.startswith("default-src 'none'")
    assert "unsafe" not in allowed
    for tag in ("script", "style"):
        (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in allowed
    assert "innerHTML" not in text
    assert not re.findall(r"https?://|src=|style=| on\w+=", text)
