"""What a vendor says over HTTP, beside what the library makes of it.

A hook of the HTTP client hears each response of a call that is listened to: when its
body begins, whether it came to its proper end, and the vendor's final word (id, usage,
finish reason) as it came, without what it said to the user.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpx2

from service import wire
from service.providers.choose import Api
from service.providers.provider import RESPONSE_BYTES, ProviderError
from service.providers.said import BODY_BYTES

EVENT_BYTES = 16 * 1024 * 1024
"""Of one event; nobody sends more."""

ENDLESS = "the model's server sent an event that has no end"

_FINAL: dict[Api, re.Pattern[bytes]] = {
    "chat": re.compile(rb'"finish_reason"\s*:\s*"|"usage"\s*:\s*\{'),
    "responses": re.compile(rb'"type"\s*:\s*"response\.(completed|incomplete|failed)"'),
    "messages": re.compile(rb'"type"\s*:\s*"message_(start|delta|stop)"'),
}
"""What events of interest hold; most are text and not worth parsing."""

_SAID = frozenset({"output", "instructions", "tools", "prompt", "content", "choices"})
"""Of a final word: what was said, and what we had said ourselves."""

_BREAK = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class Listener:
    """One call to a vendor. `opened` is told once: bytes of an answer are there.

    An event counts when its blank line is there, as it does for the libraries.
    """

    def __init__(self, api: Api, opened: Callable[[], None]) -> None:
        self._api = api
        self._opened: Callable[[], None] | None = opened
        self._rest = bytearray()
        self._final: dict[str, Any] = {}
        self.ended = False
        """The vendor said that the answer is complete."""
        self.deaf = False
        """The body is compressed, whatever was asked for: nothing is heard of it."""

    def begin(self) -> None:
        """A response begins; what an earlier one said does not count."""
        self._rest, self._final, self.ended = bytearray(), {}, False

    def feed(self, data: bytes) -> None:
        """Hear more of the body. Raises ProviderError where it is no stream."""
        if not data:
            return
        if self._opened is not None:
            self._opened()
            self._opened = None
        heard = len(self._rest)
        self._rest += data
        # only what is new can hold the end of an event
        if not _BREAK.search(self._rest, max(0, heard - 3)):
            if len(self._rest) > EVENT_BYTES:
                # the SDKs would keep all of it until there is no memory left
                raise ProviderError("generic", ENDLESS)
            return
        *events, rest = _BREAK.split(self._rest)
        self._rest = bytearray(rest)
        for event in events:
            self._event(event)

    def final(self) -> dict[str, Any]:
        """The vendor's final word, whole."""
        return self._final

    def response(self) -> dict[str, Any] | None:
        """The same, cut down to its head where it is long."""
        kept: dict[str, Any] = {}
        left = RESPONSE_BYTES - len(b"{}")
        for name, value in self._final.items():
            # each once: who sends a hundred thousand of them would hold up everybody
            left -= len(wire.dumps({name: value})) - len(b"{}") + len(b",")
            if left < -len(b","):
                break
            kept[name] = value
        return kept or None

    def _event(self, event: bytes | bytearray) -> None:
        if not _FINAL[self._api].search(event):
            return
        lines = [line for line in event.splitlines() if line.startswith(b"data:")]
        try:
            told = wire.loads(b"\n".join(line[5:].strip() for line in lines))
        except wire.JSONDecodeError:
            return
        if isinstance(told, dict):
            self._take(told)

    def _take(self, told: dict[str, Any]) -> None:
        match self._api:
            case "chat":
                self._take_chunk(told)
            case "responses":
                kind = told.get("type")
                if kind in _ENDS and isinstance(response := told.get("response"), dict):
                    self._keep(response)
                    self.ended = True
            case "messages":
                self._take_message(told)

    def _take_chunk(self, chunk: dict[str, Any]) -> None:
        self._keep(chunk)
        for choice in chunk.get("choices") or ():
            if isinstance(choice, dict) and choice.get("finish_reason"):
                self._final["finish_reason"] = choice["finish_reason"]
                self.ended = True

    def _take_message(self, event: dict[str, Any]) -> None:
        match event:
            case {"type": "message_start", "message": dict(message)}:
                self._keep(message)
            case {"type": "message_delta"}:
                usage = self._final.get("usage")
                delta = event.get("delta")
                self._keep(delta if isinstance(delta, dict) else {})
                self._keep({k: v for k, v in event.items() if k not in _WRAPPING})
                if isinstance(usage, dict) and isinstance(event.get("usage"), dict):
                    self._final["usage"] = usage | event["usage"]
            case {"type": "message_stop"}:
                self.ended = True

    def _keep(self, told: dict[str, Any]) -> None:
        for name, value in told.items():
            if name not in _SAID and (value is not None or name not in self._final):
                self._final[name] = value


_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_WRAPPING = frozenset({"type", "delta"})

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Responses to calls of this task are heard by the listener."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


async def hear(response: httpx2.Response) -> None:
    """The hook: let the body pass by whoever listens."""
    listener, stream = _LISTENER.get(), response.stream
    if not isinstance(stream, httpx2.AsyncByteStream):
        return
    if not response.is_success:
        response.stream = _Beginning(stream)
    elif listener is not None:
        listener.begin()
        encoding = response.headers.get("content-encoding", "identity")
        listener.deaf = encoding.strip().lower() not in ("", "identity")
        response.stream = _Heard(stream, listener)


class _Heard(httpx2.AsyncByteStream):
    """A body that is listened to."""

    def __init__(self, stream: httpx2.AsyncByteStream, listener: Listener) -> None:
        self._stream = stream
        self._listener = listener

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._stream:
                self._listener.feed(data)
                yield data
        except httpx2.TransportError:
            # what breaks after the end has broken nothing
            if not self._listener.ended:
                raise

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Beginning(httpx2.AsyncByteStream):
    """As much of an error's body as anybody looks at: the SDKs read it to its end."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = BODY_BYTES
        async for data in self._stream:
            yield data[:left]
            left -= len(data)
            if left <= 0:
                return

    async def aclose(self) -> None:
        await self._stream.aclose()
