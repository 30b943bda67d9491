"""An event's data: what the log stores beside its type and schema version.

Absent fields are left out; false, 0 and "" stay. JSON null and absent are one.
"""

from __future__ import annotations

from typing import Any

from service.domain.events.chat import ChatEvent
from service.domain.upcasters import EVENTS, upcast

_ENVELOPE = {"type"}


def encode_data(event: ChatEvent) -> dict[str, Any]:
    """The event as plain JSON values, without its type."""
    return event.model_dump(mode="json", exclude_none=True, exclude=_ENVELOPE)


def decode_data(
    event_type: str, schema_version: int, data: dict[str, Any]
) -> ChatEvent:
    """The event of these data, from any schema version that was ever written.

    Raises FutureEvent for a newer one, pydantic's ValidationError for a wrong shape.
    """
    newest = upcast(event_type, schema_version, data)
    event: ChatEvent = EVENTS[event_type].model_validate(newest)
    return event
