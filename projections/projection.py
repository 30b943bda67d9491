"""What a projection is: the mapping from events to one read model, as data.

`project` is pure and sees events of its own types only, in the order of the log. Its
statements must have the same effect when a batch is applied twice, and however the log
is cut into batches; so every row is set from events alone, never from what stands in
the table, and no statement belongs to one event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from service import wire
from service.domain.events.chat import ChatEvent
from service.eventstore.records import RecordedEvent

Row = Mapping[str, Any]
"""One row by column name; values that `service.wire` can write."""


class Entry(NamedTuple):
    """An event where the log holds it, and what it says."""

    recorded: RecordedEvent
    event: ChatEvent

    @property
    def chat_id(self) -> UUID:
        """The chat whose stream it is on."""
        return self.recorded.stream.stream_id


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement for many rows.

    `sql` reads them with `json_to_recordset(%s)`, and writes `{v}` for the version of
    the projection. Rows must differ in the key that the statement writes.
    """

    sql: str
    rows: Sequence[Row]

    def text(self, version: int) -> str:
        """The SQL for this version of the projection's tables."""
        return self.sql.replace("{v}", str(version))

    def argument(self) -> str:
        """The rows as one JSON array: one parameter, however many rows."""
        return wire.dumps(self.rows).decode()


Project = Callable[[Sequence[Entry]], list[Statement]]


@dataclass(frozen=True, slots=True)
class Projection:
    """One read model: `sql/read/<name>.sql` makes its tables and its view."""

    name: str
    version: int
    """Goes up when the same events give other rows, or the tables change shape."""
    types: frozenset[str]
    """The event types that it wants; it gets no others."""
    tables: Mapping[str, str]
    """Table name, without schema and version -> the column with the stream's id."""
    project: Project
    per_stream: bool = True
    """Touches only rows of the event's own stream, so one stream can be parked."""

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from all others, and from other versions of itself."""
        return self.name, self.version

    def forget(self, stream_id: UUID) -> list[Statement]:
        """Delete every row of one stream; only for a projection per stream."""
        return [
            Statement(
                f"DELETE FROM read.{table}__v{{v}}"  # noqa: S608 - names are ours
                f" WHERE {column} IN (SELECT u.id FROM"
                " json_to_recordset(%s) AS u (id uuid))",
                [{"id": stream_id}],
            )
            for table, column in self.tables.items()
        ]


def of_types(projection: Projection, entries: Sequence[Entry]) -> list[Entry]:
    """The entries that the projection wants."""
    return [entry for entry in entries if entry.recorded.type in projection.types]
