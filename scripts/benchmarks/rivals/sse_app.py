"""Idiomatic sse-starlette: a queue per connection, a dict per event.

Run as a program with a port: POST /publish sends the body to everybody on /stream.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scripts.benchmarks.harness import raise_file_limit

EVENT = "message_part"
queues: set[asyncio.Queue[dict[str, Any]]] = set()


async def stream(_request: Request) -> EventSourceResponse:
    """Every event from now on."""

    async def events() -> AsyncIterator[dict[str, Any]]:
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        queues.add(queue)
        try:
            yield {"comment": "hi"}
            while True:
                yield await queue.get()
        finally:
            queues.discard(queue)

    return EventSourceResponse(events())


async def publish(request: Request) -> Response:
    """Put the event into every queue."""
    data = (await request.body()).decode()
    for queue in queues:
        queue.put_nowait({"id": "4/2.1.1~5eed5eed", "event": EVENT, "data": data})
    return Response(b"", status_code=202)


app = Starlette(
    routes=[Route("/stream", stream), Route("/publish", publish, methods=["POST"])]
)

if __name__ == "__main__":
    raise_file_limit()
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
    )
