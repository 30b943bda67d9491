"""Apply a page to projections inside the caller's transaction, and contain poison.

All projections together first: one savepoint a page. When that fails, each alone; when
one fails alone because of an event, append by append, to find that event. A projection
per stream parks the event's stream and goes on; any other stops before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import psycopg
from pydantic import ValidationError

from projections import checkpoint as checkpoints
from projections.checkpoint import Checkpoint, Place
from projections.page import Item, Page, appends, purged, wanted
from projections.projection import Entry, Projection, Statement
from service.db.pool import Connection
from service.domain.ids import CHAT
from service.errors import Fault
from service.eventstore.codec import ERASED
from service.eventstore.records import RecordedEvent

_POISON_CLASSES = frozenset({"22", "23", "54"})
"""SQLSTATE classes that blame the data: data exception, integrity, program limit."""


@dataclass(eq=False)
class Poisoned(Fault):
    """A projection cannot take an event. `reason` holds nothing that a user wrote."""

    projection: str
    event: RecordedEvent
    reason: str

    def __str__(self) -> str:
        event = self.event
        return (
            f"projection {self.projection!r} cannot take {event.type!r} at position "
            f"{event.position} ({event.stream}, version {event.version}): "
            f"{self.reason}; mend the projection and retry"
        )

    def fields(self) -> dict[str, object]:
        """The values for a log record."""
        return {
            "projection": self.projection,
            "position": self.event.position,
            "stream_id": str(self.event.stream.stream_id),
            "event_version": self.event.version,
            "event_type": self.event.type,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a page for one projection."""

    checkpoint: Checkpoint
    end: Place
    """How far it came; where it was, when `failed`."""
    poison: tuple[Poisoned, ...] = ()
    stopped: bool = False
    """It must be stopped: its poison is the event after `end`'s append."""
    failed: str | None = None
    """An error that is no event's fault; try the same page again later."""


async def apply_page(
    connection: Connection, found: Sequence[Checkpoint], page: Page
) -> list[Applied]:
    """Apply the page to all that stand before it. Raises what ends the connection."""
    try:
        async with connection.transaction():
            for checkpoint in found:
                await apply_items(connection, checkpoint, page.items)
    except Exception as error:
        _raise_unless_contained(error)
        return [await _apply_alone(connection, each, page) for each in found]
    return [Applied(checkpoint, page.end) for checkpoint in found]


async def apply_items(
    connection: Connection, checkpoint: Checkpoint, items: Sequence[Item]
) -> int:
    """What these are to the projection; how many it took. Raises what is wrong.

    Events of a purged stream come erased, so its rows go whatever came before.
    """
    entries = wanted(checkpoint, items)
    await apply(connection, checkpoint.projection, entries)
    if gone := purged(items):
        projection = checkpoint.projection
        await execute(connection, projection, projection.purged(gone))
        if ERASED not in projection.types:
            # else what is left is for a retry
            await checkpoints.unpark(connection, projection, CHAT, gone)
    return len(entries)


async def apply(
    connection: Connection, projection: Projection, entries: Sequence[Entry]
) -> None:
    """Run the statements of one batch; raises whatever is wrong with it."""
    if entries:
        await execute(connection, projection, projection.project(entries))


async def execute(
    connection: Connection, projection: Projection, statements: Sequence[Statement]
) -> None:
    """Run statements in order; one without rows is left out."""
    for statement in statements:
        if statement.rows:
            await connection.execute(
                statement.text(projection.version), (statement.argument(),)
            )


async def apply_append(
    connection: Connection, checkpoint: Checkpoint, append: Sequence[Item]
) -> Poisoned | None:
    """Apply one append, whole or not at all; the event that spoils it, if one does."""
    item = append[0]
    try:
        async with connection.transaction():
            for item in append:
                await apply_items(connection, checkpoint, [item])
    except Exception as error:
        if not is_poison(error):
            raise
        return Poisoned(checkpoint.projection.name, item.recorded, describe(error))
    return None


def is_poison(error: Exception) -> bool:
    """Whether an event is to blame, and not the database or a missing table."""
    if not isinstance(error, psycopg.Error):
        return True
    if error.sqlstate is None:
        # psycopg refuses a value before it sends it
        return isinstance(error, psycopg.DataError)
    return error.sqlstate[:2] in _POISON_CLASSES


def describe(error: Exception) -> str:
    """What went wrong and where, without the values: they may be what a user wrote."""
    name = type(error).__name__
    if isinstance(error, ValidationError):
        found = error.errors(include_input=False, include_url=False)
        fields = [f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in found]
        return f"{name} ({', '.join(fields)})"
    if isinstance(error, psycopg.Error):
        where = error.diag.constraint_name or error.diag.column_name
        return f"{name} {error.sqlstate}" + (f" ({where})" if where else "")
    return f"{name} in {_raised_in(error)}"


def _raised_in(error: Exception) -> str:
    traceback, place = error.__traceback__, "?"
    while traceback is not None:
        code = traceback.tb_frame.f_code
        module = traceback.tb_frame.f_globals.get("__name__", "?")
        place = f"{module}.{code.co_name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place


def _raise_unless_contained(error: Exception) -> None:
    if is_poison(error):
        return
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        # the connection, a shutdown, a deadlock: the whole batch is tried again
        raise error


async def _apply_alone(
    connection: Connection, checkpoint: Checkpoint, page: Page
) -> Applied:
    try:
        async with connection.transaction():
            await apply_items(connection, checkpoint, page.items)
            return Applied(checkpoint, page.end)
    except Exception as error:
        _raise_unless_contained(error)
        if not is_poison(error):
            return Applied(checkpoint, checkpoint.place, failed=describe(error))
    return await _apply_by_append(connection, checkpoint, page)


async def _apply_by_append(
    connection: Connection, checkpoint: Checkpoint, page: Page
) -> Applied:
    projection = checkpoint.projection
    current, end = checkpoint, checkpoint.place
    poison: list[Poisoned] = []
    for append in appends(page.items):
        found = await apply_append(connection, current, append)
        if found is not None:
            poison.append(found)
            if not projection.per_stream:
                return Applied(checkpoint, end, tuple(poison), stopped=True)
            await checkpoints.park(connection, projection, found.event, found.reason)
            parked = current.parked | {found.event.stream.stream_id}
            current = replace(current, parked=parked)
        last = append[-1].recorded
        end = Place(last.position, last.digest)
    return Applied(checkpoint, end, tuple(poison))
