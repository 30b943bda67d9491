"""A prompt in the terms of pydantic-ai."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, assert_never

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from service.domain import parts
from service.providers.prompt import AssistantTurn, Call, Prompt, Said, UserTurn
from service.providers.provider import Metadata, ToolSpec


def messages_of(prompt: Prompt, *, system: str) -> list[ModelMessage]:
    """The messages; `system` is the provider's name in pydantic-ai."""
    messages: list[ModelMessage] = []
    for turn in prompt.turns:
        match turn:
            case UserTurn():
                messages.append(ModelRequest(parts=_request_parts(turn)))
            case AssistantTurn():
                made = [_response_part(said, system) for said in turn.parts]
                messages.append(ModelResponse(parts=made, provider_name=system))
            case _:
                assert_never(turn)
    first = messages[0]
    if prompt.system and isinstance(first, ModelRequest):
        first.parts = [SystemPromptPart(prompt.system), *first.parts]
    return messages


def parameters_of(tools: Iterable[ToolSpec]) -> ModelRequestParameters:
    """The tools, in the order given, their schemas as they are."""
    return ModelRequestParameters(
        function_tools=[
            ToolDefinition(
                name=tool.name,
                description=tool.description,
                parameters_json_schema=_schema(tool),
                # None would let pydantic-ai rewrite the schema for some models
                strict=False,
            )
            for tool in tools
        ]
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
    return [*results, *(UserPromptPart(text) for text in turn.texts)]


def _response_part(said: Said, system: str) -> ModelResponsePart:
    match said:
        case parts.TextPart():
            return TextPart(said.text)
        case parts.ReasoningPart():
            return ThinkingPart(
                said.text,
                id=_text(said.provider_metadata, "id"),
                signature=_text(said.provider_metadata, "signature"),
                provider_name=system,
                provider_details=_details(said.provider_metadata),
            )
        case Call():
            details = _details(said.metadata)
            return ToolCallPart(
                said.name,
                dict(said.args),
                said.id,
                provider_name=system if details else None,
                provider_details=details,
            )
        case _:
            assert_never(said)


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
