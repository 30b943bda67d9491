"""A prompt in the terms of pydantic-ai."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, assert_never

from pydantic_ai.messages import (
    BinaryContent,
    Citation,
    ContentCitationAnchor,
    InstructionPart,
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
    WebCitationSource,
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
from service.providers.vendor.items import Linked
from service.providers.vendor.named import FILE_NAME
from service.providers.vendor.thoughts import SUMMARY_BREAK


def messages_of(
    prompt: Prompt, *, system: str, items: bool = False, blocks: bool = False
) -> list[ModelMessage]:
    """The messages; `system` is the provider's name in pydantic-ai.

    `items`: the vendor knows what it said by ids, and takes a thought only together
    with what it led to. `blocks`: what it is told first goes apart from the messages.
    """
    messages: list[ModelMessage] = []
    linked = Linked()
    for turn in prompt.turns:
        match turn:
            case UserTurn():
                messages.append(ModelRequest(parts=_request_parts(turn)))
            case AssistantTurn():
                parts = linked.told(turn.parts) if items else turn.parts
                made = [
                    piece for said in parts for piece in _response_parts(said, system)
                ]
                messages.append(ModelResponse(parts=made, provider_name=system))
            case _:
                assert_never(turn)
    first = messages[0]
    if isinstance(first, ModelRequest) and not blocks:
        told = [SystemPromptPart(text) for text in prompt.system]
        first.parts = [*told, *first.parts]
    return messages


def parameters_of(
    tools: Iterable[ToolSpec],
    *,
    native: Sequence[AbstractNativeTool] = (),
    system: Sequence[str] = (),
) -> ModelRequestParameters:
    """The tools, in the order given, with their schemas; then the vendor's own."""
    return ModelRequestParameters(
        native_tools=list(native),
        instruction_parts=[InstructionPart(content=text) for text in system] or None,
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


def _response_parts(said: Said, system: str) -> Iterator[ModelResponsePart]:
    match said:
        case Text():
            details = _details(said.metadata)
            yield TextPart(
                said.text,
                id=_text(said.metadata, "id"),
                provider_name=system if said.metadata else None,
                provider_details=details,
                citations=_citations(said.text, details),
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


def _citations(text: str, details: dict[str, Any] | None) -> list[Citation] | None:
    """That the text is cited as a whole; what it cites is in the details."""
    if not details or not details.get("citations"):
        return None
    anchor = ContentCitationAnchor(start=0, end=len(text))
    return [Citation([WebCitationSource("")], anchor=anchor)]


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
