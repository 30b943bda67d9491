"""What is left of an erased event, as the event that it was.

A purge keeps of a stream what was spent on it, and whose it was, so that a read model
of spending is rebuilt from the log like any other. What an event said is gone: what it
must have all the same is empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.domain.events.chat import ChatEvent
from service.domain.events.data import decode_data
from service.domain.times import rfc3339
from service.eventstore.records import RecordedEvent

NOWHERE = {"chat_id": str(UUID(int=0)), "version": 0}
"""Where a fork came from, now that nobody is to know."""

BLANK: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "chat_created": ("owner_id", {"title": ""}),
    "chat_forked": ("owner_id", {"actor": "", "origin": NOWHERE}),
    "step_committed": ("kind", {"epoch": 0, "attempt": 0}),
    "usage_recorded": ("purpose", {"actor": ""}),
    "interruption_finished": ("asked", {}),
}
"""What is kept of: a field that is there whenever it is, and what is not kept."""


def left_of(recorded: RecordedEvent) -> ChatEvent | None:
    """The event without what it said; None when nothing is kept of its kind.

    Also when it was erased before anything was kept. Raises FutureEvent for one that a
    newer release wrote.
    """
    kept = dict(recorded.data or {})
    was = str(kept.pop("was", ""))
    if was not in BLANK:
        return None
    mark, blank = BLANK[was]
    if mark not in kept:
        return None
    at = {"at": rfc3339(recorded.recorded_at)}
    return decode_data(was, recorded.schema_version, {**at, **blank, **kept})
