"""The shapes of the log: streams, events to append, appended events, outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

NO_STREAM = 0
"""Expected version: the stream must not exist yet."""

ANY = -1
"""Expected version: whatever it is."""


SLICE = 200
"""Events that are handled in a row; to decode, fold or encode them takes some 5 ms."""

T = TypeVar("T")


def slices(events: Sequence[T]) -> Iterator[Sequence[T]]:
    """A long append in parts, for whoever lets the loop have its turn between them."""
    return (events[n : n + SLICE] for n in range(0, len(events), SLICE))


@dataclass(frozen=True, slots=True)
class StreamName:
    """A stream: the ordered events of one entity."""

    category: str
    stream_id: UUID

    def __str__(self) -> str:
        return f"{self.category} {self.stream_id}"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to append. `data` and `metadata` are plain JSON values.

    `metadata`: id (random uuid), actor, correlation_id, causation_id (may be absent).
    """

    type: str
    schema_version: int
    data: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamAppend:
    """The events of one request for one stream, in order; at least one."""

    stream: StreamName
    expected: int
    """A version, NO_STREAM or ANY."""
    events: tuple[NewEvent, ...]
    expected_digest: bytes | None = None
    """Digest of the expected version; refused when the log has another history."""


@dataclass(frozen=True, slots=True)
class AppendRequest:
    """One or more streams that stand or fall together."""

    streams: tuple[StreamAppend, ...]
    key: str
    """Idempotency key, scoped `<caller>:<key>`; the appender never makes one up."""
    request_hash: bytes
    """sha256 of what was asked; the same key with another hash is refused."""


@dataclass(frozen=True, slots=True)
class StreamResult:
    """Where a request's events are on one stream."""

    stream: StreamName
    first_version: int
    last_version: int
    last_position: int
    digest: bytes
    """Digest of `last_version`."""


@dataclass(frozen=True, slots=True)
class AppendResult:
    """`duplicate`: the key was used before; these are the first result's versions."""

    outcome: Literal["appended", "duplicate"]
    streams: tuple[StreamResult, ...]


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as the log holds it. Its digest is its identity.

    `data` and `metadata` are None where the reader asked for heads only.
    """

    position: int
    stream: StreamName
    version: int
    append_last: int
    """Last version of the append that this event came in (append border)."""
    type: str
    schema_version: int
    data: dict[str, Any] | None
    metadata: dict[str, Any] | None
    recorded_at: datetime
    digest: bytes

    @property
    def at_border(self) -> bool:
        """Whether invariants hold here: the last event of its append."""
        return self.version == self.append_last
