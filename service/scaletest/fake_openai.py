"""A model that answers at a set pace, and speaks OpenAI's chat completions.

A service that is pointed at it goes the whole way of a vendor's model: SDK, HTTP, parts
as they come. It says the same words to everybody, and reads nothing but how to stream,
and whether it is a title that is wanted: whoever got twenty words would ask again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from service import wire
from service.api.server import HttpServer, bind, url_of
from service.providers.title import TITLE_INSTRUCTION

HOST = "127.0.0.1"

TITLE_PARTS = 2
"""Words of a title."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How the model answers."""

    latency_s: float = 0.2
    """Until the first part."""
    parts_per_second: float = 50.0
    parts: int = 20


@asynccontextmanager
async def fake_openai(port: int, pace: Pace) -> AsyncIterator[str]:
    """The model, while entered; gives the URL for PARLEY_MODEL_BASE_URL."""
    listening = bind(HOST, port)
    server = HttpServer(application(pace), listening)
    serving = asyncio.create_task(server.run(), name="fake-openai")
    try:
        await server.started()
        yield f"{url_of(listening)}/v1"
    finally:
        server.force()
        await asyncio.wait([serving])
        listening.close()


def application(pace: Pace) -> Starlette:
    """The model as an ASGI application."""

    async def complete(request: Request) -> Response:
        asked = wire.loads(await request.body())
        if not asked.get("stream"):
            problem = {
                "message": "only streams are answered",
                "type": "invalid_request",
            }
            return JSONResponse({"error": problem}, status_code=400)
        model = str(asked.get("model", "fake"))
        told = replace(pace, parts=TITLE_PARTS) if _wants_title(asked) else pace
        return StreamingResponse(_answer(model, told), media_type="text/event-stream")

    return Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])


def _wants_title(asked: dict[str, Any]) -> bool:
    first = next(iter(asked.get("messages") or ()), None)
    return isinstance(first, dict) and first.get("content") == TITLE_INSTRUCTION


async def _answer(model: str, pace: Pace) -> AsyncIterator[bytes]:
    """The chunks; number n is due n intervals after the first, so that none drifts."""
    loop = asyncio.get_running_loop()
    first_at = loop.time() + pace.latency_s
    head = {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": model,
    }
    for number in range(pace.parts):
        due = first_at + number / pace.parts_per_second
        await asyncio.sleep(max(0.0, due - loop.time()))
        role = {"role": "assistant"} if number == 0 else {}
        word = f"word{number}" if number == 0 else f" word{number}"
        yield _chunk(head, {**role, "content": word}, None)
    yield _chunk(head, {}, "stop")
    usage = {
        "prompt_tokens": 1,
        "completion_tokens": pace.parts,
        "total_tokens": pace.parts + 1,
    }
    yield _line({**head, "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def _chunk(head: dict[str, Any], delta: dict[str, str], finish: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _line({**head, "choices": [choice]})


def _line(content: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % wire.dumps(content)
