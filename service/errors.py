"""Every exception of Parley, in one tree.

    ParleyError
    ├── Rejection            the domain says no; expected; the caller's to mend (4xx)
    │   ├── KeyReused        an idempotency key came back with another request (422)
    │   └── TooMany          more than is allowed; says when to come back (429)
    ├── Conflict             somebody was faster; reload and decide again
    │   └── WrongExpectedVersion
    └── Fault                ours or the environment's (5xx)
        ├── Unavailable      try again later (503)
        │   ├── AppenderFull     the queue of appends is full
        │   ├── AppendUnknown    the outcome is unknown; retry with the same key
        │   ├── DatabaseAway     no connection to the database
        │   └── ListenerLost     the LISTEN connection fell silent or broke
        ├── FutureEvent      an event that a newer release wrote; give way and wait
        ├── BadEvent         an event that the database refuses; never retried
        ├── StreamPurged     the stream was erased; nothing may follow
        ├── HeldConnection   a transaction was held across an await that may not be
        └── SetupError       start-up cannot go on; says what a person must do

Exceptions carry fields; the text is what, with which values, against what expectation;
the remedy after a semicolon. Never a secret, never what a user wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class FieldError(NamedTuple):
    """One field of a request that is wrong, and why. `field` is a dotted path."""

    field: str
    detail: str


class ParleyError(Exception):
    """Anything that Parley raises on purpose."""


@dataclass(eq=False)
class Rejection(ParleyError):
    """The domain refuses a command. `code` is the stable problem slug.

    `decide` returns rejections; the rim raises them. `service.api.problems` maps
    each code to a status; the list of codes is a golden file.
    """

    code: str
    detail: str
    errors: Sequence[FieldError] = field(default_factory=tuple)

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


@dataclass(eq=False)
class KeyReused(Rejection):
    """The idempotency key was used before, with another request."""

    code: str = "idempotency-key-reused"
    detail: str = (
        "this Idempotency-Key was used with a different request; take a new key"
    )


@dataclass(eq=False)
class TooMany(Rejection):
    """More than one client may ask for; the same request may be taken later."""

    retry_after_s: int = 1


class Conflict(ParleyError):
    """Somebody else was faster."""


@dataclass(eq=False)
class WrongExpectedVersion(Conflict):
    """The stream is not where the writer decided."""

    stream: str
    expected: int
    actual: int

    def __str__(self) -> str:
        return (
            f"stream {self.stream!r} is at version {self.actual}, "
            f"expected {self.expected}; reload and decide again"
        )


class Fault(ParleyError):
    """Ours, or the environment's."""


class Unavailable(Fault):
    """Cannot be done now; the same request may go through later."""


class AppenderFull(Unavailable):
    """The bounded queue of appends is full; nothing was appended."""


class AppendUnknown(Unavailable):
    """No answer before the deadline; retry with the same key to learn the outcome."""


class DatabaseAway(Unavailable):
    """There is no connection to the database."""


class ListenerLost(Unavailable):
    """The LISTEN connection broke or fell silent."""


class FutureEvent(Fault):
    """A newer release wrote this event; this process cannot read it yet."""


class BadEvent(Fault):
    """The database refuses this event; its request is lost, its neighbours are not."""


class StreamPurged(Fault):
    """The stream was erased; nothing may be appended to it."""


class HeldConnection(Fault):
    """Something slow was awaited while a connection was held."""


class SetupError(Fault):
    """Start-up cannot go on; the text says what a person must do."""
