"""An event as JSON, for everybody outside: feeds, exports, the CLI, other projections.

The shape is stable: it names what happened and where in its stream, never a position,
a key or a digest. An erased event comes as it is stored: `erased`, without content.
"""

from __future__ import annotations

from typing import Any

from service.domain.times import rfc3339
from service.eventstore.records import RecordedEvent

PUBLIC_METADATA = ("actor", "causation_id", "correlation_id")
"""Who and why. The random id that hides an erased payload's hash stays inside."""


def public_event(recorded: RecordedEvent) -> dict[str, Any]:
    """The event's JSON. `recorded` must have been read with its data."""
    metadata = recorded.metadata or {}
    return {
        "category": recorded.stream.category,
        "stream_id": str(recorded.stream.stream_id),
        "version": recorded.version,
        "type": recorded.type,
        "schema_version": recorded.schema_version,
        "data": recorded.data or {},
        "metadata": {name: metadata.get(name) for name in PUBLIC_METADATA},
        "recorded_at": rfc3339(recorded.recorded_at),
    }
