"""Tools that a client declares, and the results that it gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field, JsonValue

from service.api.fields import Body, refusal, storable
from service.domain.commands.chat import ToolOutput
from service.domain.events.chat import ClientTool
from service.tools.clock import SPEC as CLOCK

CLIENT_TOOLS = 250
NAME_PATTERN = "^[a-zA-Z0-9_-]{1,64}$"
"""What every vendor takes; another name would have each turn of the chat refused."""
BUILT_IN = frozenset({CLOCK.name})

_WORDS = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
"""Keywords whose values are objects of schemas."""


def _not_built_in(name: str) -> str:
    if name in BUILT_IN:
        raise refusal("is the name of a tool of ours")
    return name


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The shape of a JSON Schema of an object; whether all of it is one, its user sees.

    A schema that says no type gets the one that vendors ask for.
    """
    if schema.get("type", "object") != "object":
        raise refusal("describes an object: its type is 'object'")
    for word in _WORDS:
        if not _is_schemas(schema.get(word, {})):
            raise refusal(f"{word} is an object of schemas")
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(n, str) for n in required):
        raise refusal("required is a list of names")
    return {"type": "object", **storable(schema)}


def _is_schemas(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(schema, dict | bool) for schema in value.values()
    )


class ClientToolInput(Body):
    """A tool that the client runs when the model calls it."""

    name: Annotated[str, Field(pattern=NAME_PATTERN), AfterValidator(_not_built_in)]
    description: str = ""
    input_schema: Annotated[
        dict[str, JsonValue],
        AfterValidator(_schema),
        Field(description="A JSON Schema of an object."),
    ]


def _distinct(tools: list[ClientToolInput]) -> list[ClientToolInput]:
    places: dict[str, int] = {}
    for place, tool in enumerate(tools):
        first = places.setdefault(tool.name, place)
        if first != place:
            raise refusal(f"{first} and {place} have the same name")
    return tools


ClientTools = Annotated[
    list[ClientToolInput], AfterValidator(_distinct), Field(max_length=CLIENT_TOOLS)
]


def declared(tools: Sequence[ClientToolInput]) -> tuple[ClientTool, ...]:
    """The tools as the chat keeps them."""
    return tuple(ClientTool(**tool.model_dump()) for tool in tools)


class ToolResultInput(Body):
    """What a client's tool gave back for one call."""

    tool_call_id: Annotated[str, Field(min_length=1)]
    output: Annotated[JsonValue, AfterValidator(storable)]
    is_error: bool = False

    def result(self) -> ToolOutput:
        return ToolOutput(**self.model_dump())
