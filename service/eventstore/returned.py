"""Events as the log gives them back: objects with their keys in the order of jsonb.

Prompts quote objects, such as the arguments of calls. Who folded an event that it has
appended itself would quote them in another order than who read it, and no vendor's
cache would know the prompt again.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel

from service.domain.events.chat import (
    ChatCreated,
    ChatEvent,
    ClientTool,
    MessageAppended,
)
from service.domain.parts import Part

WHOLE = range(-(2**63), 2**64)
"""Numbers that are read as whole ones; others, as floats."""

QUOTED = ("args", "result", "provider_metadata")
"""The fields of parts that hold JSON of others."""

COMPOUND = (dict, list, float)

Of = TypeVar("Of", bound=BaseModel)


def as_returned(event: ChatEvent) -> ChatEvent:
    """The event as reading it would give it."""
    match event:
        case MessageAppended(parts=parts) if any(map(_quoted, parts)):
            return _with(event, parts=tuple(map(_part, parts)))
        case ChatCreated(client_tools=tools) if tools:
            return _with(event, client_tools=tuple(map(_tool, tools)))
        case _:
            return event


def in_log_order(value: Any) -> Any:
    """JSON as a column of jsonb holds it: short keys first, and plain numbers."""
    if isinstance(value, dict):
        return {key: in_log_order(value[key]) for key in sorted(value, key=_place)}
    if isinstance(value, list):
        return [in_log_order(one) for one in value]
    return _plain(value) if isinstance(value, float) else value


def _part(part: Part) -> Part:
    ordered = {name: in_log_order(value) for name, value in _quoted(part).items()}
    return _with(part, **ordered) if ordered else part


def _quoted(part: Part) -> dict[str, Any]:
    fields = vars(part)
    return {n: fields[n] for n in QUOTED if isinstance(fields.get(n), COMPOUND)}


def _tool(tool: ClientTool) -> ClientTool:
    return _with(tool, input_schema=in_log_order(tool.input_schema))


def _with(model: Of, **fields: Any) -> Of:
    return model.model_copy(update=fields)


def _place(key: str) -> tuple[int, str]:
    """By bytes; those of UTF-8 sort as the characters do."""
    return len(key) if key.isascii() else len(key.encode()), key


def _plain(number: float) -> float | int:
    """With all its digits instead of an exponent; zero has no sign."""
    if "e" in repr(number) and number.is_integer() and int(number) in WHOLE:
        return int(number)
    return number + 0.0
