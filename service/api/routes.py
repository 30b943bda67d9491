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
from service.api import parameters as p
from service.api.actions import (
    compact_chat,
    interrupt_chat,
    reconcile_chat,
    submit_tool_results,
)
from service.api.chats import create_chat, get_chat, list_chats
from service.api.context import Context, Vitals
from service.api.cost_shapes import ChatCost, CostSummary
from service.api.costs import chat_cost, cost_summary
from service.api.docs import docs
from service.api.events import chat_events, log_events
from service.api.frames import CHAT_FRAMES, EVENT_FRAMES, WATCH_FRAMES
from service.api.freshness import MIN_VERSION, PREFER, STALE, VERSION
from service.api.health import healthz, prometheus, readyz
from service.api.history import fork_chat, list_prompts
from service.api.messages import edit_message, list_messages, send_message
from service.api.metadata import move_read_cursor, update_chat
from service.api.middleware import Problems, RequestContext
from service.api.openapi import Doc, Release, build
from service.api.perform import CHATS, REPLAYED
from service.api.queue import delete_queued, promote_queued
from service.api.schemas import (
    CreateChatBody,
    EditMessageBody,
    ForkBody,
    InterruptBody,
    NothingBody,
    ReadBody,
    SendMessageBody,
    TicketBody,
    ToolResultsBody,
    UpdateChatBody,
)
from service.api.shapes import (
    ChatPage,
    ChatShape,
    Edited,
    EventPage,
    EventShape,
    Health,
    MessagePage,
    Prompts,
    Ready,
    Sent,
    Ticket,
)
from service.api.stream import follow_chat
from service.api.tickets import create_ticket
from service.api.titles import ProposedTitle, propose_chat_title, regenerate_title
from service.api.watch import watch_chats

Endpoint = Callable[[Request], Awaitable[Response]]

_BODY = (400, 408, 413, 415, 422)
"""What a body, or an Idempotency-Key, can be refused with."""

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
        body=CreateChatBody, parameters=(p.KEY,), headers=p.CHANGED,
        problems=(*_BODY, 403))),
    Operation("GET", CHATS, list_chats, Doc(
        "List your chats: pins, then newest change first", ChatPage,
        parameters=(p.LIMIT, p.CURSOR, *p.FILTERS, *p.FRESH), headers=(p.STALE_TOLD,),
        problems=(400,))),
    Operation("GET", CHATS + "/watch", watch_chats, Doc(
        "Hear what happens to your chats", None, frames=WATCH_FRAMES, ticket=True,
        parameters=(p.LAST_EVENT_ID, p.AFTER, p.TICKET), problems=(400, 403))),
    Operation("GET", CHAT, get_chat, Doc(
        "Get a chat", ChatShape, parameters=(p.AT_VERSION, *p.FRESH),
        headers=(p.VERSION_TOLD, p.STALE_TOLD), problems=(400, 404))),
    Operation("PATCH", CHAT, update_chat, Doc(
        "Change what is given about a chat, all of it or nothing", None, status=204,
        body=UpdateChatBody, parameters=(p.KEY,),
        headers=(*p.CHANGED, p.STALE_TOLD), problems=(*_BODY, 404, 409))),
    Operation("POST", CHAT + "/fork", fork_chat, Doc(
        "Make a chat that begins as a copy of this one", ChatShape, status=201,
        body=ForkBody, body_optional=True, parameters=(p.KEY,), headers=p.CHANGED,
        problems=(*_BODY, 403, 404))),
    Operation("POST", CHAT + "/read", move_read_cursor, Doc(
        "Say up to where you have read", None, status=204, body=ReadBody,
        body_optional=True, parameters=(p.KEY,), headers=p.CHANGED,
        problems=(*_BODY, 404, 409))),
    Operation("GET", CHAT + "/prompts", list_prompts, Doc(
        "List what you said, newest first", Prompts,
        parameters=(p.PROMPTS_LIMIT, *p.FRESH),
        headers=(p.VERSION_TOLD, p.STALE_TOLD), problems=(400, 404))),
    Operation("POST", CHAT + "/title/regenerate", regenerate_title, Doc(
        "Have a model give the chat a title", ChatShape, body=NothingBody,
        body_optional=True, parameters=(p.KEY,), headers=p.CHANGED,
        problems=(*_BODY, 404, 409))),
    Operation("POST", CHAT + "/title/propose", propose_chat_title, Doc(
        "Have a model think of a title, and change nothing", ProposedTitle,
        body=NothingBody, body_optional=True, headers=(p.VERSION_TOLD,),
        problems=(400, 404, 408, 409, 413, 415))),
    Operation("GET", CHAT + "/messages", list_messages, Doc(
        "List a chat's messages, newest first", MessagePage,
        parameters=(p.BEFORE, p.AFTER_ID, p.LIMIT, p.AT_VERSION, *p.FRESH),
        headers=(p.VERSION_TOLD, p.STALE_TOLD), problems=(400, 404))),
    Operation("POST", CHAT + "/messages", send_message, Doc(
        "Send a message; a busy chat queues it", Sent, body=SendMessageBody,
        parameters=(p.KEY,), headers=p.CHANGED, problems=(*_BODY, 404, 409, 429))),
    Operation("PATCH", CHAT + "/messages/{message_id}", edit_message, Doc(
        "Take a message and all after it back, and say this instead", Edited,
        body=EditMessageBody, parameters=(p.KEY,), headers=p.CHANGED,
        problems=(*_BODY, 404, 409))),
    Operation("DELETE", CHAT + "/queue/{queued_id}", delete_queued, Doc(
        "Take a message out of the queue", None, status=204, parameters=(p.KEY,),
        headers=p.CHANGED, problems=(400, 404, 409, 422))),
    Operation("POST", CHAT + "/queue/{queued_id}/promote", promote_queued, Doc(
        "Put a message of the queue first, and stop the turn for it", ChatShape,
        status=202, body=NothingBody, body_optional=True, parameters=(p.KEY,),
        headers=p.CHANGED, problems=(*_BODY, 404, 409))),
    Operation("POST", CHAT + "/interrupt", interrupt_chat, Doc(
        "Stop the running turn", ChatShape, body=InterruptBody, body_optional=True,
        parameters=(p.KEY,), headers=p.CHANGED, problems=(*_BODY, 404, 409))),
    Operation("POST", CHAT + "/tool-results", submit_tool_results, Doc(
        "Answer the tool calls that wait for you, all of them", None, status=204,
        body=ToolResultsBody, parameters=(p.KEY,), headers=p.CHANGED,
        problems=(*_BODY, 404, 409))),
    Operation("POST", CHAT + "/compact", compact_chat, Doc(
        "Put a summary in place of the history, for the model only", ChatShape,
        body=NothingBody, body_optional=True, parameters=(p.KEY,), headers=p.CHANGED,
        problems=(*_BODY, 404, 409, 429))),
    Operation("POST", CHAT + "/reconcile-invalid", reconcile_chat, Doc(
        "Put a chat that is in no legal state into error", ChatShape,
        body=NothingBody, body_optional=True, parameters=(p.KEY,), headers=p.CHANGED,
        problems=(*_BODY, 404, 409))),
    Operation("GET", CHAT + "/stream", follow_chat, Doc(
        "Follow a chat", None, frames=CHAT_FRAMES, ticket=True,
        parameters=(p.LAST_EVENT_ID, p.AFTER, p.TICKET), problems=(400, 404))),
    Operation("GET", CHAT + "/cost", chat_cost, Doc(
        "Get what a chat and its family cost so far", ChatCost, parameters=p.FRESH,
        headers=(p.VERSION_TOLD, p.STALE_TOLD), problems=(400, 404))),
    Operation("GET", "/api/v1/cost/{user}/summary", cost_summary, Doc(
        "Get what you spent in a span of time", CostSummary,
        parameters=(*p.SPAN, *p.FRESH), headers=(p.STALE_TOLD,),
        problems=(400, 403, 404))),
    Operation("GET", CHAT + "/events", chat_events, Doc(
        "Read a chat's events: a page, lines or a stream, by Accept", EventPage,
        frames=EVENT_FRAMES, lines=EventShape,
        parameters=(p.LIMIT, p.LAST_EVENT_ID, p.AFTER),
        problems=(400, 404, 406, 410))),
    Operation("GET", "/api/v1/events", log_events, Doc(
        "Read the whole log: a page, lines or a stream, by Accept", EventPage,
        frames=EVENT_FRAMES, lines=EventShape,
        parameters=(p.LIMIT, p.LAST_EVENT_ID, p.AFTER),
        problems=(400, 403, 406, 410))),
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
            allow_methods=("GET", "POST", "PATCH", "DELETE"),
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
