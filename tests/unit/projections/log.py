"""Events as the log would hold them, without a log."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from projections.projection import Entry, Projection, Row
from service.domain.events.chat import ChatEvent
from service.domain.ids import CHAT
from service.eventstore import codec
from service.eventstore.records import RecordedEvent, StreamName
from tests.builders import NOW


@dataclass
class Log:
    """A log in memory: gives out positions and versions as the real one does."""

    entries: list[Entry] = field(default_factory=list)
    versions: dict[UUID, int] = field(default_factory=dict)

    def append(self, chat_id: UUID, *events: ChatEvent) -> list[Entry]:
        """One append on a chat's stream."""
        version = self.versions.get(chat_id, 0)
        last = self.versions[chat_id] = version + len(events)
        at = NOW + timedelta(milliseconds=len(self.entries))
        added = [
            Entry(
                recorded(
                    event, chat_id, version + number, last=last, at=at, position=place
                ),
                event,
            )
            for number, (event, place) in enumerate(
                zip(events, range(len(self.entries) + 1, 2**31), strict=False), 1
            )
        ]
        self.entries += added
        return added


def recorded(
    event: ChatEvent,
    chat_id: UUID,
    version: int,
    *,
    last: int,
    at: datetime,
    position: int,
) -> RecordedEvent:
    """The event as a row of the log."""
    new = codec.encode(event, {})
    return RecordedEvent(
        position=position,
        stream=StreamName(CHAT, chat_id),
        version=version,
        append_last=last,
        type=new.type,
        schema_version=new.schema_version,
        data=new.data,
        metadata=new.metadata,
        recorded_at=at,
        digest=hashlib.sha256(f"{position}".encode()).digest(),
    )


def entries(chat_id: UUID, *events: ChatEvent) -> list[Entry]:
    """The events of one chat, each an append of its own."""
    log = Log()
    for event in events:
        log.append(chat_id, event)
    return log.entries


def rows(projection: Projection, batch: Sequence[Entry]) -> list[Sequence[Row]]:
    """The rows of each statement that the projection makes of a batch."""
    statements = projection.project(of_types(projection, batch))
    return [statement.rows for statement in statements]


def ids(count: int) -> Iterable[UUID]:
    """Fresh chat ids."""
    return [uuid4() for _ in range(count)]


def of_types(projection: Projection, entries: Sequence[Entry]) -> list[Entry]:
    """The entries that the projection wants."""
    return [entry for entry in entries if entry.recorded.type in projection.types]
