"""What the events of the log mean to a worker that does not hold their chat. Pure.

Who holds a chat hears of it by the same tail and is faster, so others give it time:
what its holder appends is proof that it lives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from service.domain.ids import CHAT
from service.eventstore.records import RecordedEvent


class Meaning(Enum):
    """What one append means."""

    FREE = "free"
    """A chat that rested, or was given back: nobody holds it."""
    CHANGED = "changed"
    """A turn that runs was changed: its holder goes on, if it has one that lives."""
    HELD = "held"
    """Somebody works on it."""
    NOTHING = "nothing"
    """Needs no worker."""


FREEING = frozenset({"message_appended", "run_abandoned", "compaction_requested"})
"""Last events of appends after which a chat may need a worker that has none."""

CHANGING = frozenset(
    {"interrupt_requested", "tool_results_submitted", "tool_calls_cancelled"}
)
"""Anywhere in an append: a turn goes on in another way."""

OF_HOLDERS = frozenset(
    {
        "run_acquired",
        "generation_attempt_started",
        "step_committed",
        "retry_scheduled",
        "action_required",
        "interruption_finished",
        "turn_finished",
        "turn_failed",
    }
)
"""Anywhere in an append: it was, but for rare cases, the chat's worker that wrote."""


@dataclass(frozen=True, slots=True)
class News:
    """One append to a chat."""

    chat_id: UUID
    version: int
    meaning: Meaning
    urgent: bool
    """A person waits for it, and it needs no slot."""


def news_of(events: Sequence[RecordedEvent]) -> Iterator[News]:
    """The appends to chats in a page of the log, in order."""
    types: list[str] = []
    for event in events:
        if event.stream.category != CHAT:
            continue
        types.append(event.type)
        if event.at_border:
            urgent = "interrupt_requested" in types
            yield News(event.stream.stream_id, event.version, _meaning(types), urgent)
            types = []


def _meaning(types: Sequence[str]) -> Meaning:
    if not OF_HOLDERS.isdisjoint(types):
        return Meaning.HELD
    if not CHANGING.isdisjoint(types):
        return Meaning.CHANGED
    return Meaning.FREE if types[-1] in FREEING else Meaning.NOTHING
