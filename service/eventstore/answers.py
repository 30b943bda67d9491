"""From outcomes and database errors to what the caller of an append gets."""

from __future__ import annotations

import logging
from dataclasses import replace

import psycopg

from service.db.pool import Connection
from service.db.sqlstate import is_connection_lost, sqlstate_of
from service.errors import (
    AppendUnknown,
    BadEvent,
    KeyReused,
    StreamPurged,
    WrongExpectedVersion,
)
from service.eventstore import store
from service.eventstore.records import ANY, AppendRequest, AppendResult
from service.eventstore.store import RequestOutcome

logger = logging.getLogger(__name__)

PASSING_CLASSES = ("08", "40", "53", "55", "57", "58")
"""SQLSTATE classes that blame the moment, not the event: roll-backs, resources, locks,
shut-downs, I/O."""

READ_ONLY = "25006"
"""The server became a standby: a failover; the name leads to another one soon."""


async def own_sending(
    connection: Connection, request: AppendRequest, outcome: RequestOutcome
) -> RequestOutcome:
    """What a duplicate is to a request that was sent before: `appended` if that was it.

    Somebody else's use of the same key comes back as a duplicate too. Only our own
    sending wrote the random metadata id of our first event; a request whose events
    have no id stays a duplicate, which is true as well.
    """
    first = outcome.streams[0]
    wanted = request.streams[0].events[0].metadata.get("id")
    events = await store.read_stream(
        connection, first.stream, first.first_version - 1, 1
    )
    found = (events[0].metadata or {}).get("id") if events else None
    if wanted is None or found != wanted:
        return outcome
    return replace(outcome, outcome="appended")


def result_of(request: AppendRequest, outcome: RequestOutcome) -> AppendResult:
    """The result that the caller gets, or the exception that it must handle."""
    match outcome.outcome:
        case "appended" | "duplicate":
            return AppendResult(outcome.outcome, outcome.streams)
        case "key_reused":
            raise KeyReused
        case "purged":
            raise StreamPurged(
                "a stream of this request was erased; nothing may follow"
            )
        case "conflict":
            raise _conflict(request, outcome)


def _conflict(request: AppendRequest, outcome: RequestOutcome) -> WrongExpectedVersion:
    """Names the first stream that is not where the writer decided.

    Expected and actual version are equal when only the digest differs.
    """
    pairs = list(zip(request.streams, outcome.streams, strict=True))
    wrong = [(a, r) for a, r in pairs if a.expected not in (r.last_version, ANY)]
    append, result = (wrong or pairs)[0]
    return WrongExpectedVersion(
        str(append.stream), append.expected, result.last_version
    )


def is_passing(error: psycopg.Error) -> bool:
    """Whether the same batch may well succeed a little later."""
    if is_connection_lost(error):
        return True
    state = sqlstate_of(error) or ""
    return state[:2] in PASSING_CLASSES or state == READ_ONLY


def bad_event(error: psycopg.Error) -> BadEvent:
    """What the caller of a request gets that the database refuses for its content."""
    logger.error("append refused", extra={"sqlstate": error.sqlstate})
    refused = BadEvent(f"the database refuses this append ({error.sqlstate})")
    refused.__cause__ = error
    return refused


def unknown(cause: Exception | None = None) -> AppendUnknown:
    """What the caller of a request gets that was sent and not answered."""
    error = AppendUnknown("the outcome is unknown; retry with the same key")
    error.__cause__ = cause
    return error
