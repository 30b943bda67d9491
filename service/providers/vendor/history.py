"""A prompt in the terms of pydantic-ai."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, assert_never

from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    NativeToolCallPart,
    NativeToolReturnPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.native_tools import AbstractNativeTool
from pydantic_ai.tools import ToolDefinition

from service.providers.files import Item
from service.providers.hosted import HostedCall, HostedResult
from service.providers.provider import Metadata, ToolSpec
from service.providers.turns import (
    AssistantTurn,
    Call,
    Prompt,
    Reasoning,
    Said,
    Text,
    UserTurn,
)
from service.providers.vendor.deltas import SUMMARY_BREAK
from service.providers.vendor.named import FILE_NAME

BACKED = (Text, Call, HostedCall)
"""What a thought of the Responses API leads to."""


def messages_of(
    prompt: Prompt, *, system: str, items: bool = False
) -> list[ModelMessage]:
    """The messages; `system` is the provider's name in pydantic-ai.

    `items`: the vendor knows what it said by ids, and takes a thought only together
    with what it led to.
    """
    messages: list[ModelMessage] = []
    ids: set[str] = set()
    for turn in prompt.turns:
        match turn:
            case UserTurn():
                messages.append(ModelRequest(parts=_request_parts(turn)))
            case AssistantTurn():
                parts = list(_complete(turn.parts)) if items else turn.parts
                made = [
                    piece for said in parts for piece in _response_parts(said, system)
                ]
                if items:
                    _tell_apart(made, ids)
                messages.append(ModelResponse(parts=made, provider_name=system))
            case _:
                assert_never(turn)
    first = messages[0]
    if isinstance(first, ModelRequest):
        block = [SystemPromptPart(text) for text in prompt.system]
        first.parts = [*block, *first.parts]
    return messages


def parameters_of(
    tools: Iterable[ToolSpec], *, native: Sequence[AbstractNativeTool] = ()
) -> ModelRequestParameters:
    """The tools, in the order given, their schemas as they are; then the vendor's own."""
    return ModelRequestParameters(
        native_tools=list(native),
        function_tools=[
            ToolDefinition(
                name=tool.name,
                description=tool.description,
                parameters_json_schema=_schema(tool),
                # None would let pydantic-ai rewrite the schema for some models
                strict=False,
            )
            for tool in tools
        ],
    )


def _request_parts(turn: UserTurn) -> list[ModelRequestPart]:
    results = [
        ToolReturnPart(
            tool_name=result.name,
            content=result.text,
            tool_call_id=result.id,
            outcome="failed" if result.is_error else "success",
        )
        for result in turn.results
    ]
    return [*results, *(UserPromptPart(_content(items)) for items in turn.said)]


def _content(items: tuple[Item, ...]) -> str | list[UserContent]:
    if len(items) == 1 and isinstance(items[0], str):
        return items[0]
    return [
        item
        if isinstance(item, str)
        else BinaryContent(
            data=item.data,
            media_type=item.media_type,
            vendor_metadata={FILE_NAME: item.name},
        )
        for item in items
    ]


def _complete(parts: Sequence[Said]) -> Iterator[Said]:
    """The parts, without thoughts whose next item is not the vendor's own."""
    for at, part in enumerate(parts):
        if isinstance(part, Reasoning):
            later = (p for p in parts[at + 1 :] if not isinstance(p, Reasoning))
            led_to = next(later, None)
            if not isinstance(led_to, BACKED) or not _text(led_to.metadata, "id"):
                continue
        yield part


def _tell_apart(parts: Iterable[ModelResponsePart], seen: set[str]) -> None:
    """Tell each id of an item once; a copy goes without."""
    here: set[str] = set()
    for part in parts:
        if isinstance(part, TextPart | ToolCallPart) and part.id:
            if part.id in seen:
                part.id = None
            else:
                here.add(part.id)
    seen |= here


def _response_parts(said: Said, system: str) -> Iterator[ModelResponsePart]:
    match said:
        case Text():
            yield TextPart(
                said.text,
                id=_text(said.metadata, "id"),
                provider_name=system if said.metadata else None,
                provider_details=_details(said.metadata),
            )
        case Reasoning():
            yield from _thinking(said, system)
        case Call():
            yield ToolCallPart(
                said.name,
                dict(said.args),
                said.id,
                id=_text(said.metadata, "id"),
                provider_name=system if said.metadata else None,
                provider_details=_details(said.metadata),
            )
        case HostedCall():
            yield NativeToolCallPart(
                said.name,
                said.args,
                said.id,
                id=said.id,
                provider_name=system,
                provider_details=_details(said.metadata),
            )
        case HostedResult():
            yield NativeToolReturnPart(
                said.name,
                said.result,
                said.id,
                provider_name=system,
                provider_details=_details(said.metadata),
            )
        case _:
            assert_never(said)


def _thinking(said: Reasoning, system: str) -> Iterator[ThinkingPart]:
    """The thought, in as many parts as it had."""
    signature = _text(said.metadata, "signature")
    details = _details(said.metadata)
    for text in _summaries(said):
        yield ThinkingPart(
            text,
            id=_text(said.metadata, "id"),
            signature=signature,
            provider_name=system,
            provider_details=details,
        )
        signature, details = None, None


def _summaries(said: Reasoning) -> list[str]:
    lengths = said.metadata.get("lengths")
    if not isinstance(lengths, list):
        return [said.text]
    texts, start = [], 0
    for length in lengths:
        if isinstance(length, int):
            texts.append(said.text[start : start + length])
            start += length + len(SUMMARY_BREAK)
    return texts or [said.text]


def _text(metadata: Metadata | None, key: str) -> str | None:
    value = (metadata or {}).get(key)
    return value if isinstance(value, str) else None


def _details(metadata: Metadata | None) -> dict[str, Any] | None:
    value = (metadata or {}).get("details")
    return value if isinstance(value, dict) else None


def _schema(tool: ToolSpec) -> dict[str, Any]:
    """An object's schema with the keys that vendors insist on, without empty ones."""
    schema = {"type": "object", **tool.parameters}
    if not isinstance(schema.get("properties"), dict):
        schema["properties"] = {}
    if not schema.get("required"):
        schema.pop("required", None)
    return schema
