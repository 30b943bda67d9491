"""Round every request: its id, one summary record, security headers, problems.

Pure ASGI: a wrapper that buffers would break streams, and one that runs the endpoint in
a task of its own would lose its context variables.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.context import Vitals
from service.api.problems import answer
from service.log import log_context

logger = logging.getLogger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")
"""What is taken from X-Request-Id: it ends up in logs and in event metadata."""

CLIENT_CLOSED = 499
"""In records and metrics only: the client went away before it was answered."""


STREAMED = "parley.streamed"
"""Key in the scope of a request whose answer lasts as long as its client likes."""
BODY = "parley.body"
"""Key in the scope of a list: who is in it writes the body once the headers are sent
and all that routed the request has returned, so that a stream holds none of it."""
KEPT = ("type", "method", "route_path", "log", STREAMED)
"""All of a request that its record and uvicorn want to know while a stream is open."""

Body = Callable[[Receive, Send], Awaitable[None]]


class RequestContext:
    """Outermost: names the request, and says in one record how it ended.

    Endpoints find the context of the application as `request.state.context`.
    """

    def __init__(self, app: ASGIApp, *, context: Vitals) -> None:
        self._app = app
        self._context = context
        self._metrics = context.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["state"] = {**scope.get("state", {}), "context": self._context}
        bodies: list[Body] = []
        scope[BODY] = bodies
        request_id = _request_id(scope)
        started = _clock()
        status = CLIENT_CLOSED

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                headers["x-content-type-options"] = "nosniff"
            await send(message)

        with log_context(correlation_id=request_id):
            try:
                await self._app(scope, receive, send_named)
                if bodies:
                    _forget(scope)
                    try:
                        await bodies.pop()(receive, send)
                    except Exception as error:
                        logger.exception("response broke off")
                        raise ResponseBrokeOff from error
            finally:
                self._report(scope, status, _clock() - started)

    def _report(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route_path", "other")
        self._metrics.requests.labels(scope["method"], route, str(status)).inc()
        if not scope.get(STREAMED):
            self._metrics.request_seconds.labels(route, str(status)).observe(seconds)
        logger.log(
            logging.DEBUG if route in ("/healthz", "/readyz") else logging.INFO,
            "request",
            extra={
                "method": scope["method"],
                "route": route,
                "status": status,
                "duration_ms": round(seconds * 1000, 1),
                **scope.get("log", {}),
            },
        )


class Problems:
    """Turns what an endpoint raises into a problem; nothing gets past it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def send_noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except ClientDisconnect:
            return
        except Exception as error:
            if begun:
                # too late to say anything: cut the connection, so that the client knows
                logger.exception("response broke off")
                raise ResponseBrokeOff from error
            await answer(error)(scope, receive, send)


class ResponseBrokeOff(Exception):
    """A response ended in the middle; the server closes its connection."""


def _forget(scope: Scope) -> None:
    """Let go of what came with a request; the server holds the same scope and list."""
    kept = {key: scope[key] for key in KEPT if key in scope}
    scope["headers"].clear()
    scope.clear()
    scope.update(kept)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else uuid4().hex


def _clock() -> float:
    return asyncio.get_running_loop().time()
