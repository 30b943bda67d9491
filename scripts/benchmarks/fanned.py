"""The ways to fan out that are compared: ours, sse-starlette, nginx with nchan.

Each is a server process with one stream that many follow, and a way to publish one
event to all of them. All send the same number of bytes a frame, up to a few.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.bench import Bench
from scripts.benchmarks.chats import new_chat, writing
from scripts.benchmarks.events import AT, user_message
from scripts.benchmarks.http import poster
from scripts.benchmarks.processes import child
from scripts.benchmarks.rivals import nchan
from scripts.benchmarks.service import serve
from service import wire
from service.domain.events.chat import GenerationAttemptStarted, RunAcquired
from service.live.flush import Flusher

TEXT = "a few words "
"""Of a model's token or two; a frame has some 200 bytes with it."""
START_S = 20.0
GET_STREAM = b"GET /stream HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n"
POST_PUBLISH = (
    b"POST /publish HTTP/1.1\r\nHost: bench\r\n"
    b"X-EventSource-Event: message_part\r\nContent-Length: %d\r\n\r\n%b"
)


@dataclass(frozen=True, slots=True)
class FanOut:
    """A server that fans out; `publish` returns when the event is accepted."""

    pids: list[int]
    address: tuple[str, int]
    request: bytes
    ready: str
    publish: Callable[[], Awaitable[object]]


@asynccontextmanager
async def parley(bench: Bench) -> AsyncIterator[FanOut]:
    """Our service with the role api: live parts of one chat, through Postgres."""
    async with (
        bench.server.fresh() as database,
        serve(database, roles="api") as service,
        writing(database) as appender,
        Flusher(database) as flusher,
    ):
        chat = await new_chat(
            appender,
            user_message(),
            RunAcquired(at=AT, worker="bench", term=1),
            GenerationAttemptStarted(at=AT, epoch=2, attempt=1, kind="model"),
        )
        writer = flusher.open(chat.chat_id, 2, 1)

        async def publish() -> None:
            writer.write({"type": "text", "text": TEXT})
            await writer.drain()

        request = service.stream(chat.chat_id, "now")
        yield FanOut(service.pids, service.address, request, "caught_up", publish)


@asynccontextmanager
async def sse_starlette(_bench: Bench) -> AsyncIterator[FanOut]:
    """A queue per connection and a dict per event, on the same uvicorn."""
    port = free_port()
    argv = [sys.executable, "-m", "scripts.benchmarks.rivals.sse_app", str(port)]
    async with child(argv) as started, _published(port) as publish:
        yield _fan_out([started.pid], port, publish)


@asynccontextmanager
async def nginx_nchan(_bench: Bench) -> AsyncIterator[FanOut]:
    """One worker process of nginx; the master has nothing to do."""
    port = free_port()
    async with AsyncExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="parley-nchan-")
        folder = Path(stack.enter_context(temporary))
        started = await stack.enter_async_context(child(nchan.argv(folder, port)))
        publish = await stack.enter_async_context(_published(port))
        async with asyncio.timeout(START_S):
            # the port is open before the worker is there
            while not (workers := nchan.workers(started.pid)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        yield _fan_out(workers, port, publish)


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _fan_out(
    pids: list[int], port: int, publish: Callable[[], Awaitable[object]]
) -> FanOut:
    return FanOut(pids, ("127.0.0.1", port), GET_STREAM, ": hi", publish)


@asynccontextmanager
async def _published(port: int) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """POSTs our own frame's data to a rival, once it listens."""
    data = wire.dumps(
        {
            "type": "message_part",
            "chat_id": "00000000-0000-4000-8000-000000000001",
            "version": 4,
            "epoch": 2,
            "attempt": 1,
            "seq": 100,
            "role": "assistant",
            "part": {"type": "text", "text": TEXT},
        }
    )
    request = POST_PUBLISH % (len(data), data)
    await _listening(port)
    async with poster(("127.0.0.1", port)) as connection:

        async def publish() -> None:
            status, _ = await connection.send(request)
            if status not in (200, 201, 202):
                raise RuntimeError(f"publishing was answered {status}")

        yield publish


async def _listening(port: int) -> None:
    async with asyncio.timeout(START_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
