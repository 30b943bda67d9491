"""Errors on the wire: application/problem+json (RFC 9457).

`type` is `/problems/<slug>`; the slugs are stable and listed in a golden file. Every
refusal that our code raises carries its slug as `Rejection.code`; `answer` turns any
exception into a response, and this is the only place that does.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg.errors import UndefinedTable
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service import wire
from service.errors import (
    AppenderFull,
    AppendUnknown,
    Conflict,
    FieldError,
    FutureEvent,
    Rejection,
    StreamPurged,
    TooMany,
    Unavailable,
)
from service.log import correlation_id

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

RETRY_AFTER_S = 1
"""What a 503 asks for: a restarted Postgres is back within a few of these. And a 429
that knows no better: a turn ends, a queue moves on."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its status and its title."""

    status: int
    title: str


PROBLEMS: Mapping[str, Kind] = {
    "invalid-json": Kind(400, "The body is not JSON"),
    "invalid-request": Kind(400, "The request has fields that are wrong"),
    "invalid-id": Kind(400, "The id in the path is malformed"),
    "invalid-cursor": Kind(400, "The cursor is malformed"),
    "invalid-idempotency-key": Kind(400, "The Idempotency-Key is malformed"),
    "unknown-version": Kind(400, "There is no such version"),
    "chat-archived": Kind(400, "The chat is archived"),
    "already-archived": Kind(400, "The chat is archived already"),
    "not-archived": Kind(400, "The chat is not archived"),
    "not-a-root": Kind(400, "Only the first chat of a family does this"),
    "not-a-user-message": Kind(400, "Only a user's message can be edited"),
    "tool-results-mismatch": Kind(400, "The results are not those of the calls"),
    "unauthorized": Kind(401, "Not authenticated"),
    "forbidden": Kind(403, "Not allowed"),
    "not-found": Kind(404, "Not found"),
    "chat-not-found": Kind(404, "Chat not found"),
    "message-not-found": Kind(404, "Message not found"),
    "queue-item-not-found": Kind(404, "Queued message not found"),
    "not-acceptable": Kind(406, "None of the accepted media types is offered"),
    "method-not-allowed": Kind(405, "Method not allowed"),
    "body-timeout": Kind(408, "The body did not arrive in time"),
    "invalid-state": Kind(409, "The chat's state does not allow this"),
    "nothing-to-interrupt": Kind(409, "No turn is running"),
    "no-action-required": Kind(409, "No tool call waits for a client"),
    "nothing-to-compact": Kind(409, "There is nothing to compact"),
    "chat-active": Kind(409, "The chat or one of its family is active"),
    "title-changed": Kind(409, "The title has changed"),
    "no-model": Kind(409, "There is no model to ask"),
    "state-valid": Kind(409, "The chat is in a legal state"),
    "stale-worker": Kind(409, "Another worker holds the chat"),
    "chat-exists": Kind(409, "The chat exists already"),
    "chat-too-long": Kind(409, "The chat is too long to be copied"),
    "start-over": Kind(410, "The cursor is of another history"),
    "body-too-large": Kind(413, "The body is too large"),
    "unsupported-media-type": Kind(415, "The body must be application/json"),
    "idempotency-key-reused": Kind(422, "The Idempotency-Key was used before"),
    "queue-full": Kind(429, "The chat's queue is full"),
    "rate-limited": Kind(429, "Too many requests with this token"),
    "too-many-running": Kind(429, "Too many of your chats are running"),
    "internal": Kind(500, "Something is wrong on our side"),
    "unavailable": Kind(503, "The service cannot do this now"),
    "schema-not-current": Kind(503, "The database has another schema"),
    "overloaded": Kind(503, "Too much is waiting to be written"),
    "outcome-unknown": Kind(503, "The outcome is unknown"),
    "read-model-behind": Kind(503, "A read model is behind"),
    "no-title": Kind(503, "The model gave no title"),
    "newer-event": Kind(503, "A newer release has written to this chat"),
}

_HTTP = {404: "not-found", 405: "method-not-allowed"}
_HEADERS: Mapping[int, Mapping[str, str]] = {
    # an unread rest of the body may still be on its way: this connection is done
    408: {"connection": "close"},
    413: {"connection": "close"},
    401: {"www-authenticate": 'Bearer realm="parley"'},
    429: {"retry-after": str(RETRY_AFTER_S)},
    503: {"retry-after": str(RETRY_AFTER_S)},
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What a problem response says."""

    slug: str
    detail: str
    errors: Sequence[FieldError] = ()

    @property
    def kind(self) -> Kind:
        return PROBLEMS[self.slug]


def invalid(*errors: FieldError) -> Rejection:
    """The refusal of a request for fields of its body, query or headers."""
    detail = "; ".join(
        f"{e.field}: {e.detail}" if e.field else e.detail for e in errors
    )
    return Rejection("invalid-request", detail, errors)


def describe(error: Exception) -> Problem:
    """What to say about an exception; unknown ones say nothing about themselves."""
    match error:
        case Rejection(code=code) if code in PROBLEMS:
            return Problem(code, error.detail, error.errors)
        case HTTPException(status_code=status) if status in _HTTP:
            return Problem(_HTTP[status], "there is no such resource or method here")
        case StreamPurged():
            return Problem("chat-not-found", CHAT_NOT_FOUND)
        case FutureEvent():
            return Problem("newer-event", "an upgrade is under way; try again later")
        case Conflict():
            return Problem("unavailable", "others changed it all the time; try again")
        case AppenderFull():
            return Problem("overloaded", "nothing was written; try again later")
        case AppendUnknown():
            return Problem("outcome-unknown", "retry with the same Idempotency-Key")
        case UndefinedTable():
            return Problem("unavailable", "the read models are not made yet")
        case Unavailable() | PoolTimeout() | psycopg.OperationalError():
            return Problem("unavailable", "the database is away; try again later")
        case _:
            return Problem("internal", "the request id leads to what was logged")


CHAT_NOT_FOUND = "there is no such chat, or it is not yours"


def chat_not_found() -> Rejection:
    """One answer for what does not exist and for what is not the caller's."""
    return Rejection("chat-not-found", CHAT_NOT_FOUND)


def answer(error: Exception) -> Response:
    """The response to a request that ended in an exception."""
    problem = describe(error)
    if problem.slug == "internal":
        logger.error("request failed", exc_info=error)
    headers = {"cache-control": "no-store", **_HEADERS.get(problem.kind.status, {})}
    if isinstance(error, TooMany):
        headers["retry-after"] = str(error.retry_after_s)
    if isinstance(error, HTTPException) and error.headers:
        headers.update(error.headers)
    return Response(
        wire.dumps(body_of(problem)),
        status_code=problem.kind.status,
        headers=headers,
        media_type=MEDIA_TYPE,
    )


def body_of(problem: Problem) -> dict[str, object]:
    """The problem as JSON."""
    body: dict[str, object] = {
        "type": f"/problems/{problem.slug}",
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
    }
    if problem.errors:
        body["errors"] = [e._asdict() for e in problem.errors]
    if (request_id := correlation_id()) is not None:
        body["request_id"] = request_id
    return body
