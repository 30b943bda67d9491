"""The whole HTTP surface on one screen, and the application made of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from service import wire
from service.api.chats import create_chat, get_chat, interrupt_chat, list_chats
from service.api.context import Context, Vitals
from service.api.docs import docs
from service.api.events import chat_events, log_events
from service.api.frames import CHAT_FRAMES, EVENT_FRAMES, WATCH_FRAMES
from service.api.freshness import MIN_VERSION, PREFER, STALE, VERSION
from service.api.health import healthz, prometheus, readyz
from service.api.messages import list_messages, send_message
from service.api.middleware import Problems, RequestContext
from service.api.openapi import Doc, Header, Parameter, Release, build
from service.api.perform import REPLAYED
from service.api.schemas import (
    CreateChatBody,
    InterruptBody,
    SendMessageBody,
    TicketBody,
)
from service.api.shapes import (
    ChatPage,
    ChatShape,
    EventPage,
    EventShape,
    Health,
    MessagePage,
    Ready,
    Sent,
    Ticket,
)
from service.api.stream import follow_chat
from service.api.tickets import create_ticket
from service.api.watch import watch_chats

Endpoint = Callable[[Request], Awaitable[Response]]

_LIMIT = Parameter(
    "limit", "query", "1 to 200; 50 when left out",
    {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
)  # fmt: skip
_CURSOR = Parameter(
    "cursor", "query", "next_cursor of the page before", {"type": "string"}
)
_BEFORE = Parameter(
    "before_id", "query", "messages older than this one, newest first",
    {"type": "integer", "minimum": 1},
)  # fmt: skip
_AFTER_ID = Parameter(
    "after_id", "query", "messages newer than this one, oldest first",
    {"type": "integer", "minimum": 1},
)  # fmt: skip
_KEY = Parameter(
    "Idempotency-Key", "header", "the same key twice has one effect and one answer",
    {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
)  # fmt: skip
_AFTER = Parameter(
    "after", "query", "id of the last frame seen, 0 or now", {"type": "string"}
)
_TICKET = Parameter(
    "ticket", "query", "from POST /api/v1/stream-tickets, instead of a bearer token",
    {"type": "string", "pattern": "^ticket_[A-Za-z0-9_-]{43}$"},
)  # fmt: skip
_LAST_EVENT_ID = Parameter(
    "Last-Event-ID", "header", "like after, which it overrides", {"type": "string"}
)
_MIN_VERSION = Parameter(
    "Parley-Min-Version", "header",
    "a Parley-Version: wait, 2 s at most, until the answer has it",
    {"type": "string", "pattern": "^[0-9a-fA-F-]{36}:[0-9]{1,10}$"},
)  # fmt: skip
_PREFER = Parameter(
    "Prefer", "header", "wait: 503 rather than a stale answer", {"type": "string"}
)

_POST = (400, 408, 413, 415, 422)

_VERSION = Header(VERSION, "the chat and its version, for Parley-Min-Version")
_STALE = Header(STALE, "read models that are behind Parley-Min-Version")
_REPLAYED = Header(REPLAYED, "true: the first answer to this Idempotency-Key, again")

CHATS = "/api/v1/chats"
CHAT = CHATS + "/{chat_id}"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path."""

    method: str
    path: str
    endpoint: Endpoint
    doc: Doc


async def _openapi(_: Request) -> Response:
    return Response(
        _rendered(),
        media_type="application/json",
        headers={"cache-control": "no-cache"},
    )


@cache
def _rendered() -> bytes:
    """Made once: it takes 20 ms, and needs no token."""
    return wire.dumps(openapi_document())


OPERATIONS: Sequence[Operation] = (
    Operation("POST", CHATS, create_chat, Doc(
        "Create a chat with its first message", ChatShape, status=201,
        body=CreateChatBody, parameters=(_KEY,), headers=(_VERSION, _REPLAYED),
        problems=(*_POST, 403))),
    Operation("GET", CHATS, list_chats, Doc(
        "List your chats, newest change first", ChatPage,
        parameters=(_LIMIT, _CURSOR, _MIN_VERSION, _PREFER), headers=(_STALE,),
        problems=(400,))),
    Operation("GET", CHATS + "/watch", watch_chats, Doc(
        "Hear what happens to your chats", None, frames=WATCH_FRAMES, ticket=True,
        parameters=(_LAST_EVENT_ID, _AFTER, _TICKET), problems=(400, 403))),
    Operation("GET", CHAT, get_chat, Doc(
        "Get a chat", ChatShape, headers=(_VERSION,), problems=(400, 404))),
    Operation("GET", CHAT + "/messages", list_messages, Doc(
        "List a chat's messages, newest first", MessagePage,
        parameters=(_BEFORE, _AFTER_ID, _LIMIT, _MIN_VERSION, _PREFER),
        headers=(_VERSION, _STALE), problems=(400, 404))),
    Operation("POST", CHAT + "/messages", send_message, Doc(
        "Send a message; a busy chat queues it", Sent, body=SendMessageBody,
        parameters=(_KEY,), headers=(_VERSION, _REPLAYED),
        problems=(*_POST, 404, 409, 429))),
    Operation("POST", CHAT + "/interrupt", interrupt_chat, Doc(
        "Stop the running turn", ChatShape, body=InterruptBody, body_optional=True,
        parameters=(_KEY,), headers=(_VERSION, _REPLAYED),
        problems=(*_POST, 404, 409))),
    Operation("GET", CHAT + "/stream", follow_chat, Doc(
        "Follow a chat", None, frames=CHAT_FRAMES, ticket=True,
        parameters=(_LAST_EVENT_ID, _AFTER, _TICKET), problems=(400, 404))),
    Operation("GET", CHAT + "/events", chat_events, Doc(
        "Read a chat's events: a page, lines or a stream, by Accept", EventPage,
        frames=EVENT_FRAMES, lines=EventShape,
        parameters=(_LIMIT, _LAST_EVENT_ID, _AFTER), problems=(400, 404, 406, 410))),
    Operation("GET", "/api/v1/events", log_events, Doc(
        "Read the whole log: a page, lines or a stream, by Accept", EventPage,
        frames=EVENT_FRAMES, lines=EventShape,
        parameters=(_LIMIT, _LAST_EVENT_ID, _AFTER), problems=(400, 403, 406, 410))),
    Operation("POST", "/api/v1/stream-tickets", create_ticket, Doc(
        "Take a ticket that opens one stream", Ticket, status=201, body=TicketBody,
        problems=(400, 403, 404, 408, 413, 415))),
    Operation("GET", "/healthz", healthz, Doc("The process answers", Health,
        open=True)),
    Operation("GET", "/readyz", readyz, Doc(
        "Database and schema are there", Ready, problems=(503,), open=True)),
    Operation("GET", "/metrics", prometheus, Doc(
        "Vital signs for Prometheus; PARLEY_METRICS_PUBLIC needs no token",
        "text/plain")),
    Operation("GET", "/openapi.json", _openapi, Doc(
        "This document", "application/json", open=True)),
    Operation("GET", "/docs", docs, Doc(
        "This document, for people", "text/html", open=True)),
)  # fmt: skip


def openapi_document(release: Release = "3.2.0") -> dict[str, Any]:
    """What /openapi.json answers; 3.1 is for tools that know no other."""
    described = [(o.method, o.path, o.doc) for o in OPERATIONS]
    return build(described, version=version("parley"), release=release)


def build_vitals(vitals: Vitals) -> ASGIApp:
    """The application of a process that serves no chats: how it is doing."""
    told = [o for o in OPERATIONS if o.path in ("/healthz", "/readyz", "/metrics")]
    return RequestContext(_table(told), context=vitals)


def _table(operations: Sequence[Operation]) -> ASGIApp:
    by_path: dict[str, dict[str, Endpoint]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation.endpoint
    routes = [Route(path, _Path(path, of)) for path, of in by_path.items()]
    return Problems(Router(routes, redirect_slashes=False, default=_not_found))


def build_api(context: Context, *, cors_origins: Sequence[str] = ()) -> ASGIApp:
    """The application: context, then CORS, then problems, then the table."""
    app = _table(OPERATIONS)
    if cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=tuple(cors_origins),
            allow_methods=("GET", "POST"),
            allow_headers=(
                "Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID",
                "X-Request-Id", MIN_VERSION, PREFER,
            ),
            expose_headers=(
                "X-Request-Id", REPLAYED, "Retry-After", VERSION, STALE,
            ),
            allow_credentials=True,
        )  # fmt: skip
    return RequestContext(app, context=context)


class _Path:
    """All methods of one path; says which ones there are when asked for another."""

    def __init__(self, path: str, endpoints: Mapping[str, Endpoint]) -> None:
        self._path = path
        self._endpoints = dict(endpoints)
        if "GET" in endpoints:
            self._endpoints["HEAD"] = endpoints["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route_path"] = self._path
        endpoint = self._endpoints.get(scope["method"])
        if endpoint is None:
            allow = ", ".join(sorted(self._endpoints))
            raise HTTPException(405, headers={"allow": allow})
        response = await endpoint(Request(scope, receive, send))
        await response(scope, receive, send)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    raise HTTPException(404)
