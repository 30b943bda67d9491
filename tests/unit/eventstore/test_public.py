"""An event's public JSON: stable fields in a stable order, nothing internal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service import wire
from service.eventstore.public import public_event
from service.eventstore.records import RecordedEvent, StreamName

CHAT = UUID("7f3a0000-0000-4000-8000-000000000001")


def recorded(
    type_: str, data: dict[str, Any] | None, metadata: dict[str, Any] | None
) -> RecordedEvent:
    return RecordedEvent(
        position=12,
        stream=StreamName("chat", CHAT),
        version=3,
        append_last=4,
        type=type_,
        schema_version=1,
        data=data,
        metadata=metadata,
        recorded_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        digest=b"\x01" * 32,
    )


def test_event_shows_its_fields_and_no_position_id_or_digest() -> None:
    metadata = {"id": "random", "actor": "user:1", "correlation_id": "req-1"}
    event = recorded("message_appended", {"a": [1, None]}, metadata)
    assert wire.dumps(public_event(event)) == (
        b'{"category":"chat","stream_id":"7f3a0000-0000-4000-8000-000000000001",'
        b'"version":3,"type":"message_appended","schema_version":1,'
        b'"data":{"a":[1,null]},'
        b'"metadata":{"actor":"user:1","causation_id":null,"correlation_id":"req-1"},'
        b'"recorded_at":"2026-01-02T03:04:05.000000Z"}'
    )


def test_erased_event_comes_as_it_is_stored() -> None:
    event = recorded("erased", {"was": "message_appended", "usage": None}, {})
    shown = public_event(event)
    assert shown["type"] == "erased"
    assert shown["data"] == {"was": "message_appended", "usage": None}
    assert shown["metadata"] == {
        "actor": None,
        "causation_id": None,
        "correlation_id": None,
    }
