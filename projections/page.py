"""A page of the log as projections read it: checked against the checkpoint, decoded.

The page begins with the event of the checkpoint itself. So each batch sees for itself
that the log still has the history that the read model was made from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from uuid import UUID

from pydantic import ValidationError

from projections.checkpoint import Checkpoint, Place
from projections.projection import Entry
from projections.remains import left_of
from service.db.pool import Connection
from service.domain.events.chat import ChatEvent
from service.domain.ids import CHAT
from service.domain.upcasters import CURRENT
from service.errors import Fault, FutureEvent
from service.eventstore import store
from service.eventstore.codec import ERASED, STREAM_PURGED, decode
from service.eventstore.records import RecordedEvent

PAGE_BYTES = 4 * 1024 * 1024
"""As stored, so maybe several times as many in memory; 500 usual events have 0.5 MB."""

FITTING = """
SELECT count(*) FILTER (WHERE s.bytes <= %s), count(*) FROM (
  SELECT sum(pg_column_size(e.data)) OVER (ORDER BY e.position)
  FROM es.events AS e WHERE e.position > %s
  ORDER BY e.position LIMIT %s) AS s (bytes)
"""
"""Sizes of what is stored out of line are known without reading it."""


@dataclass(frozen=True, slots=True)
class Item:
    """One event of a page. Neither event nor error: erased, or nobody here wants it."""

    recorded: RecordedEvent
    event: ChatEvent | None = None
    error: ValidationError | None = None
    """Why it cannot be read, though this release knows its type and version."""


@dataclass(frozen=True, slots=True)
class Page:
    """Events after a place, up to an append border."""

    before: Place
    """The place as the log has it now."""
    items: tuple[Item, ...]
    full: bool
    """Whether there may be more at once."""
    future: FutureEvent | None = None
    """Why the page ends early: the next event is for a newer release."""

    @property
    def end(self) -> Place:
        """The place after the page."""
        if not self.items:
            return self.before
        last = self.items[-1].recorded
        return Place(last.position, last.digest)


class BrokenLog(Fault):
    """The log is not what a checkpoint was made from; only a person can go on."""


async def read_page(
    connection: Connection,
    position: int,
    types: Collection[str],
    *,
    limit: int,
    most_bytes: int = PAGE_BYTES,
) -> Page:
    """Up to `limit` events, or so many bytes, after `position`; decodes only `types`.

    Past either only to the end of the append there. Raises BrokenLog.
    """
    skipped = 1 if position > 0 else 0
    cursor = await connection.execute(FITTING, (most_bytes, position, limit))
    ((fitting, there),) = await cursor.fetchall()
    events = await store.read_log(
        connection, position - skipped, max(fitting, 1) + skipped
    )
    if not events and skipped:
        raise BrokenLog(f"the log ends before position {position}")
    before = Place(events[0].position, events[0].digest) if skipped else Place()
    _check_contiguous(events, position + 1 - skipped)
    items, future = decode_items(events[skipped:], types)
    full = future is None and (fitting < there or len(items) >= limit)
    return Page(before, tuple(items), full, future)


def check_history(checkpoint: Checkpoint, page: Page) -> None:
    """Raises BrokenLog when the checkpoint was made from another history."""
    if page.before != checkpoint.place:
        raise BrokenLog(
            f"the log has another history at position {checkpoint.place.position}: "
            f"digest {page.before.digest.hex()[:16]}, "
            f"expected {checkpoint.place.digest.hex()[:16]}; rebuild the read model"
        )


def wanted(checkpoint: Checkpoint, items: Sequence[Item]) -> list[Entry]:
    """What the projection takes of these; raises the error of one it cannot read."""
    entries = []
    types, parked = checkpoint.projection.types, checkpoint.parked
    for item in items:
        recorded = item.recorded
        if recorded.type not in types or recorded.stream.stream_id in parked:
            continue
        if recorded.position in checkpoint.skipped:
            continue
        if item.error is not None:
            raise item.error
        if item.event is not None:
            entries.append(Entry(recorded, item.event))
    return entries


def purged(items: Sequence[Item]) -> list[UUID]:
    """The streams whose content is erased from here on."""
    return [
        item.recorded.stream.stream_id
        for item in items
        if item.recorded.type == STREAM_PURGED and item.recorded.stream.category == CHAT
    ]


def appends(items: Sequence[Item]) -> Iterator[tuple[Item, ...]]:
    """The items in order, those of one append together."""
    for _, group in groupby(items, key=_append_of):
        yield tuple(group)


def decode_items(
    events: Sequence[RecordedEvent], types: Collection[str]
) -> tuple[list[Item], FutureEvent | None]:
    """Decode up to the append, if there is one, that a newer release wrote."""
    items: list[Item] = []
    for event in events:
        try:
            items.append(decode_item(event, types))
        except FutureEvent as error:
            return _before_append(items, event), error
    return items, None


def decode_item(recorded: RecordedEvent, types: Collection[str]) -> Item:
    """Decode an event of one of `types`; keeps what is wrong with it.

    Who wants erased events gets what is left of them. Raises FutureEvent for any event
    of a chat that a newer release wrote: the newer release's projection may want it,
    and shares this one's checkpoint.
    """
    kind, shape = recorded.type, recorded.schema_version
    if recorded.stream.category != CHAT:
        return Item(recorded)
    if kind not in types and shape <= CURRENT.get(kind, 0):
        return Item(recorded)
    try:
        return Item(recorded, left_of(recorded) if kind == ERASED else decode(recorded))
    except ValidationError as error:
        return Item(recorded, error=error)


def _check_contiguous(events: Sequence[RecordedEvent], first: int) -> None:
    for expected, event in enumerate(events, first):
        if event.position != expected:
            raise BrokenLog(
                f"the log has a hole: position {event.position}, expected {expected}; "
                "verify the log"
            )


def _before_append(items: list[Item], event: RecordedEvent) -> list[Item]:
    """Without what stands before `event` in its own append: the end is a border."""
    kept = len(items)
    while kept and _append_of(items[kept - 1]) == (event.stream, event.append_last):
        kept -= 1
    return items[:kept]


def _append_of(item: Item) -> tuple[object, int]:
    return item.recorded.stream, item.recorded.append_last
