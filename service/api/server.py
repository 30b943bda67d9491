"""uvicorn, driven by us: our socket, our signals, our logs.

It takes a socket that is already bound, so a taken port is known before anything else
is started, and it leaves signals alone: who runs it says when to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from service.api.protocol import BoundedHttp
from service.errors import SetupError

KEEP_ALIVE_S = 75
"""Longer than the 60 s for which load balancers keep a connection: they close first,
so a request never meets a connection that we have just closed."""
GRACE_S = 10
"""For requests in flight; streams end at once, they are told to."""
BACKLOG = 2048


class HttpServer:
    """Serves one application on one socket until it is told to stop."""

    def __init__(self, app: ASGIApp, listening: socket.socket) -> None:
        self._socket = listening
        self._server = _Server(
            uvicorn.Config(
                app,
                loop="none",
                http=BoundedHttp,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                # who we are to the client is what the proxy says, if it is on this host
                proxy_headers=True,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=GRACE_S,
            )
        )

    @property
    def connections(self) -> int:
        """Open connections, idle ones included."""
        return len(self._server.server_state.connections)

    async def run(self) -> None:
        """Serve; returns when `stop` was called and all requests are answered."""
        await self._server.serve(sockets=[self._socket])

    async def started(self) -> None:
        """Wait until connections are taken."""
        await self._server.up.wait()

    def stop(self) -> None:
        """Take no more connections, answer what is being served, then end."""
        self._server.should_exit = True

    def force(self) -> None:
        """Stop without waiting for anybody."""
        self._server.force_exit = self._server.should_exit = True


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the composition root."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet. Port 0: any free one."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        raise SetupError(_why(host, port, error)) from error
    bound.setblocking(False)
    return bound


def url_of(listening: socket.socket) -> str:
    """Where a client on this machine finds the service."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104  any address: name one that works here
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _why(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is taken; stop what uses it, "
            "or choose another one with --port (0 takes any free one)"
        )
    return f"cannot listen on {host} port {port}: {error.strerror}"
