"""From the shape an event was stored in to the one that this release reads.

A step leads from one schema version of a type to the next. Steps compose, so an event
of any age arrives at the newest shape, and a step once written never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from service.domain.events.chat import ChatEvent
from service.errors import FutureEvent

Data = dict[str, Any]
Steps = Mapping[tuple[str, int], Callable[[Data], Data]]
"""(type, schema version) -> the function to the next version; it takes a copy."""

EVENTS = {
    model.model_fields["type"].default: model
    for model in get_args(get_args(ChatEvent)[0])
}
"""The model of each event type."""

CURRENT: Mapping[str, int] = {
    event_type: model.schema_version for event_type, model in EVENTS.items()
}
"""The newest schema version of each event type; what this release writes."""


UNKNOWN = "unknown"
"""The vendor of a model that was asked before the log said which."""


def _as_it_was(data: Data) -> Data:
    """The new fields have defaults that mean what their absence meant."""
    return data


def _model_by_name(data: Data) -> Data:
    """A step said only what the model was called."""
    model = data.pop("model", None)
    return {**data, "asked": {"provider": UNKNOWN, "model": model}} if model else data


STEPS: Steps = {
    ("chat_created", 1): _as_it_was,
    ("chat_created", 2): _as_it_was,
    ("message_appended", 1): _as_it_was,
    ("message_queued", 1): _as_it_was,
    ("generation_attempt_started", 1): _as_it_was,
    ("retry_scheduled", 1): _as_it_was,
    ("step_committed", 1): _model_by_name,
    ("interruption_finished", 1): _as_it_was,
    ("turn_failed", 1): _as_it_was,
    ("state_reconciled", 1): _as_it_was,
}


def upcast(
    event_type: str,
    schema_version: int,
    data: Data,
    *,
    steps: Steps = STEPS,
    current: Mapping[str, int] = CURRENT,
) -> Data:
    """`data` in the newest shape; raises FutureEvent when a newer release wrote it."""
    newest = current.get(event_type)
    if newest is None or schema_version > newest:
        raise FutureEvent(
            f"event {event_type!r} in schema version {schema_version} is unknown, "
            f"newest known is {newest}; upgrade this process"
        )
    for version in range(schema_version, newest):
        data = steps[event_type, version](dict(data))
    return data
