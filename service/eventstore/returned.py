"""Events as the log gives them back: objects with their keys in the order of jsonb.

Prompts quote objects, such as the arguments of calls. Who folded an event that it has
appended itself would quote them in another order than who read it, and no vendor's
cache would know the prompt again.
"""

from __future__ import annotations

from typing import Any

from service.domain.events.chat import ChatCreated, ChatEvent, MessageAppended
from service.domain.events.data import decode_data
from service.domain.parts import ToolCallPart, ToolResultPart
from service.eventstore.records import NewEvent

WHOLE = range(-(2**63), 2**64)
"""Numbers that are read as whole ones; others, as floats."""


def as_returned(event: ChatEvent, encoded: NewEvent) -> ChatEvent:
    """The event as reading it would give it; itself where that is no other."""
    if not _quotes_objects(event):
        return event
    data = {name: in_log_order(value) for name, value in encoded.data.items()}
    return decode_data(encoded.type, encoded.schema_version, data)


def in_log_order(value: Any) -> Any:
    """JSON as a column of jsonb holds it: short keys first, and plain numbers."""
    match value:
        case dict():
            keys = sorted(value, key=_place)
            return {key: in_log_order(value[key]) for key in keys}
        case list():
            return [in_log_order(one) for one in value]
        case float():
            return _plain(value)
        case _:
            return value


def _quotes_objects(event: ChatEvent) -> bool:
    match event:
        case MessageAppended():
            return any(
                isinstance(part, ToolCallPart | ToolResultPart)
                or getattr(part, "provider_metadata", None) is not None
                for part in event.parts
            )
        case ChatCreated():
            return bool(event.client_tools)
        case _:
            return False


def _place(key: str) -> tuple[int, bytes]:
    stored = key.encode()
    return len(stored), stored


def _plain(number: float) -> float | int:
    """With all its digits instead of an exponent; zero has no sign."""
    if "e" in repr(number) and number.is_integer() and int(number) in WHOLE:
        return int(number)
    return number + 0.0
