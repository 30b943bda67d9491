"""What a projection is: the mapping from events to one read model, as data.

`project` is pure and sees events of its own types only, in the order of the log. Its
statements must have the same effect when a batch is applied twice, and however the log
is cut into batches; so every row is set from events alone, never from what stands in
the table, and no statement belongs to one event.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from service import wire
from service.domain.events.chat import ChatEvent
from service.errors import SetupError
from service.eventstore.public import public_event
from service.eventstore.records import RecordedEvent

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
"""Names are part of SQL; Postgres cuts one off at 63 bytes, index names are longer."""

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

    def public(self) -> dict[str, Any]:
        """The event as JSON, in the stable shape that feeds and exports have."""
        return public_event(self.recorded)


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
Purge = Callable[[Sequence[UUID]], list[Statement]]


@dataclass(frozen=True, slots=True)
class Compared:
    """What two versions of a table must have in common; else every column and row.

    For tables that also hold what only their own version can know, such as numbers
    that count what has been erased since.
    """

    relation: str
    """A query with the rows that count; `{v}` is the version of the projection."""
    keys: tuple[str, ...]
    """The columns of it by which rows are matched."""
    without: frozenset[str] = frozenset()
    """The columns of it that may differ."""


@dataclass(frozen=True, slots=True)
class Projection:
    """One read model: its SQL makes its tables and, below `-- [view]`, its view."""

    name: str
    version: int
    """Goes up when the same events give other rows, or the tables change shape."""
    types: frozenset[str]
    """The event types that it wants; it gets no others.

    With `erased` it also gets what is left of erased events of these types; what it has
    of a purged stream may then stay, if its `purge` says so.
    """
    tables: Mapping[str, str]
    """Table name, without schema and version -> the column with the stream's id."""
    project: Project
    per_stream: bool = True
    """Touches only rows of the event's own stream, so one stream can be parked."""
    sql: str | Path | None = None
    """The SQL, or the file that holds it; None: `sql/read/<name>.sql` of Parley."""
    purge: Purge | None = None
    """What takes purged streams out; None: per stream `forget`, else nothing."""
    compared: Mapping[str, Compared] = field(default_factory=dict)
    """Table name -> what a diff of two versions compares of it."""
    definition: int | None = None
    """The version as written, when this is a rebuild of it under another one."""

    def __post_init__(self) -> None:
        for name in (self.name, *self.tables, *self.tables.values()):
            if not _NAME.fullmatch(name) or "__" in name:
                raise SetupError(
                    f"projection {self.name!r}: {name!r} is no name for SQL; at most 31"
                    " lower-case letters, digits and single underscores"
                )

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from all others, and from other versions of itself."""
        return self.name, self.version

    @property
    def made_by(self) -> int:
        """The version that its code says; the same for all rebuilds of it."""
        return self.version if self.definition is None else self.definition

    def under(self, version: int) -> Projection:
        """The same mapping on the tables of another version."""
        return replace(self, version=version, definition=self.made_by)

    def purged(self, stream_ids: Sequence[UUID]) -> list[Statement]:
        """Take out what came from streams whose content is erased."""
        if self.purge is not None:
            return self.purge(stream_ids)
        return self.forget(*stream_ids) if self.per_stream else []

    def forget(self, *stream_ids: UUID) -> list[Statement]:
        """Delete every row of these streams; only for a projection per stream."""
        return [
            Statement(
                f"DELETE FROM read.{table}__v{{v}}"  # noqa: S608 - names are ours
                f" WHERE {column} IN (SELECT u.id FROM"
                " json_to_recordset(%s) AS u (id uuid))",
                [{"id": stream_id} for stream_id in stream_ids],
            )
            for table, column in self.tables.items()
        ]
