"""Between events of the domain and events of the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from service.domain.events.chat import ChatEvent
from service.domain.events.data import decode_data, encode_data
from service.eventstore.records import NewEvent, RecordedEvent

ERASED = "erased"
"""What purge leaves of an event: its place, no content."""

STREAM_PURGED = "stream_purged"
"""The last event of a purged stream."""


def encode(event: ChatEvent, metadata: Mapping[str, Any]) -> NewEvent:
    """The event as the log stores it, with a random metadata id of its own."""
    return NewEvent(
        event.type,
        event.schema_version,
        encode_data(event),
        {"id": str(uuid4()), **metadata},
    )


def decode(recorded: RecordedEvent) -> ChatEvent | None:
    """The event in its newest shape; None when its content was erased.

    Raises FutureEvent when a newer release wrote it; ValueError for heads only.
    """
    if recorded.type in (ERASED, STREAM_PURGED):
        return None
    if recorded.data is None:
        raise ValueError(f"event at position {recorded.position} came without data")
    return decode_data(recorded.type, recorded.schema_version, recorded.data)
