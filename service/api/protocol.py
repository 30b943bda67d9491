"""uvicorn's HTTP protocol with bounds on what a client may make it keep.

The parser keeps a head until it is complete, however long it is and however slowly it
comes; the same goes for trailers, requests that are sent before the last one is
answered, and answers that nobody takes. A few connections could so take all memory, or
sit there for ever, and none of that needs a token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024
"""A token, a few cookies and a traceparent are 4 KiB; proxies stop at 8 to 32. It also
bounds what comes without end round a body: trailers, sizes of chunks."""
HEAD_S = 30.0
"""From the first byte, or from the connection, to the end of the head."""
REST_S = 30.0
"""For the rest of a request that was answered before it had come."""
WAITING = 100
"""Requests that may wait for the answer to an earlier one. Browsers and proxies send
one at a time; what waits takes memory, and more is read with every answer."""
TAKE_S = 60.0
"""How long a client that takes nothing is waited for. Streams end earlier; this lets
go of the connection, and of what was written to it."""
TAKE_BYTES = 64 * 1024
"""What it has to take in that time at least: 1 KiB/s, slower than any line in use."""

TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


CLIENT = "parley.client"
"""Key in the scope of what a stream may know of its connection."""


class Client:
    """Who is at the other end, for the stream that it follows.

    Each stream would need a task to be told by `receive` that its client has left, and
    three coroutines a frame to get it through `send`.
    """

    __slots__ = ("_flow", "_left", "_on_left", "_transport")

    def __init__(self, transport: asyncio.Transport, flow: FlowControl) -> None:
        self._transport = transport
        self._flow = flow
        self._left = False
        self._on_left: Callable[[], None] | None = None

    def tell(self, on_left: Callable[[], None]) -> None:
        """Call this once when the client leaves, or has left."""
        self._on_left = on_left
        if self._left:
            self.leave()
        else:
            # a body that came with the request must not hide the end of the connection
            self._flow.resume_reading()

    def tell_nobody(self) -> None:
        """The stream has ended."""
        self._on_left = None

    def leave(self) -> None:
        """The connection is lost."""
        self._left = True
        on_left, self._on_left = self._on_left, None
        if on_left is not None:
            on_left()

    @property
    def follows(self) -> bool:
        """Whether a stream is open: nothing more is expected of the client."""
        return self._on_left is not None

    def offer(self, chunk: bytes) -> bool:
        """Write a chunk of an open stream's body, unless more waits already."""
        if self._left or self._flow.write_paused:
            return False
        self._transport.write(chunk)
        return True


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    # not in the instance's dict: with more than 30 keys it shares its table with no
    # other instance, and takes 1.5 KiB more
    __slots__ = ("_client", "_due", "_in_head", "_in_request", "_untold", "_watched")
    _client: Client

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._untold = 0
        """Bytes since the parser last told of something it is done with."""
        self._in_head = False
        self._in_request = False
        self._due: asyncio.TimerHandle | None = None
        """When the client has to have sent what it began."""
        self._watched: asyncio.TimerHandle | None = None
        """When the client has to have taken some of what was written."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client that connects has to ask for something."""
        super().connection_made(transport)
        self._client = Client(transport, self.flow)
        self._expect(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes or goes."""
        self._no_longer_due()
        self._unwatch()
        super().connection_lost(exc)
        self._client.leave()

    def data_received(self, data: bytes) -> None:
        """Parse, and count what the parser keeps to itself."""
        if not self._in_request and self._is_answered():
            # blank lines begin no request, but end the keep-alive time
            self._expect(HEAD_S)
        self._untold += len(data)
        super().data_received(data)
        if self._untold > HEAD_BYTES and not self.transport.is_closing():
            if self._is_answered() and (self._in_head or not self._in_request):
                self.transport.write(TOO_LARGE)
            self._close()

    def on_message_begin(self) -> None:
        """The first byte of a request, also of a second one on this connection."""
        super().on_message_begin()
        self.scope[CLIENT] = self._client  # type: ignore[literal-required]
        self._untold = 0
        self._in_head = self._in_request = True
        self._expect(HEAD_S)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Trailers come this way too; nothing in them may pass for a header."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """From here on the request's own bounds count."""
        self._untold = 0
        self._in_head = False
        self._no_longer_due()
        if len(self.pipeline) < WAITING:
            super().on_headers_complete()
        else:
            # what came with it is parsed to its end, and goes nowhere
            self._close()

    def on_body(self, body: bytes) -> None:
        """The endpoint bounds bodies; a stream has no use for one."""
        self._untold = 0
        if self.pipeline or not self._client.follows:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is here."""
        self._untold = 0
        self._in_request = False
        self._no_longer_due()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Answered; the client may not have sent everything, or not take everything."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._close()
        elif self._in_request and self._is_answered():
            self._expect(REST_S)

    def pause_writing(self) -> None:
        """More is written than the client takes."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """It took nearly all of it."""
        if not self.transport.is_closing():
            self._unwatch()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing was asked for a while."""
        self._close()

    def _is_answered(self) -> bool:
        """Whether the newest request has its answer, or there is none yet."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def _close(self) -> None:
        """Close, once the client has taken what was written; it may never."""
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._watch()

    def _expect(self, seconds: float) -> None:
        if self._due is None:
            self._due = self.loop.call_later(seconds, self._close)

    def _no_longer_due(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _watch(self) -> None:
        """Look now and then whether the client takes what was written."""
        if self._watched is None:
            left = self.transport.get_write_buffer_size()
            self._watched = self.loop.call_later(TAKE_S, self._look, left)

    def _look(self, before: int) -> None:
        self._watched = None
        left = self.transport.get_write_buffer_size()
        if left > max(0, before - TAKE_BYTES):
            self.transport.abort()
        elif left:
            self._watch()

    def _unwatch(self) -> None:
        if self._watched is not None:
            self._watched.cancel()
            self._watched = None
