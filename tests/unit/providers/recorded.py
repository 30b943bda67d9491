"""A vendor's provider whose HTTP client plays what was recorded, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from service import wire
from service.agent.assemble import Assembly
from service.domain.chat.state import Message
from service.domain.events.chat import ChatEvent, MessageAppended
from service.providers.choose import Api, VendorModel
from service.providers.provider import Delta, ModelRequest
from service.providers.vendor.flavors import flavor_of
from service.providers.vendor.model import VendorProvider, quiet_libraries
from service.providers.vendor.wire import hear
from tests.builders import NOW, created, state_of

MODELS: dict[Api, VendorModel] = {
    "chat": VendorModel("openai", "gpt-5", None, "sk-test", "chat"),
    "responses": VendorModel("openai", "gpt-5", None, "sk-test", "responses"),
    "messages": VendorModel("anthropic", "claude-opus-5-5", None, "sk-test"),
}


def sse(*events: Any) -> bytes:
    """Events as they stand in a body; a text is data, or a comment as it is."""
    frames = []
    for event in events:
        if isinstance(event, str):
            field = "" if event.startswith(":") else "data: "
            frames.append(f"{field}{event}\n\n".encode())
            continue
        name = f"event: {event['type']}\n".encode() if "type" in event else b""
        frames.append(name + b"data: " + wire.dumps(event) + b"\n\n")
    return b"".join(frames)


PIECE = 100
"""Bytes of a body that come at once: no multiple of any event's length."""


@dataclass
class Body(httpx2.AsyncByteStream):
    """A body that comes in pieces, not where events end; it may wait between them."""

    told: Sequence[bytes | asyncio.Event]
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.told:
            if isinstance(part, asyncio.Event):
                await part.wait()
                continue
            for start in range(0, len(part), PIECE):
                yield part[start : start + PIECE]

    async def aclose(self) -> None:
        self.closed.set()


@dataclass
class Recorded:
    """A provider, what it plays next, and what it was asked."""

    provider: VendorProvider
    bodies: list[Body] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[httpx2.Headers] = field(default_factory=list)
    encoding: str = "identity"

    def plays(self, *events: Any) -> None:
        self.bodies.append(Body([sse(*events)]))

    async def ask(self, *events: ChatEvent, **fields: Any) -> list[Delta]:
        messages = list(state_of(created(), *events).messages)
        return await self.stream(
            ModelRequest(messages, fields.pop("tools", ()), **fields)
        )

    async def stream(self, request: ModelRequest) -> list[Delta]:
        async with aclosing(self.provider.stream(request)) as deltas:
            return [delta async for delta in deltas]


@asynccontextmanager
async def recorded(chosen: VendorModel | Api) -> AsyncIterator[Recorded]:
    """The provider of a model, or of the usual one of an API."""
    quiet_libraries()
    model = MODELS[chosen] if isinstance(chosen, str) else chosen
    timeout = httpx2.Timeout(5)

    async def answer(request: httpx2.Request) -> httpx2.Response:
        made.requests.append(wire.loads(request.content))
        made.headers.append(request.headers)
        headers = {
            "content-type": "text/event-stream",
            "content-encoding": made.encoding,
        }
        return httpx2.Response(200, headers=headers, stream=made.bodies.pop(0))

    async with httpx2.AsyncClient(
        transport=httpx2.MockTransport(answer), event_hooks={"response": [hear]}
    ) as http:
        flavor = flavor_of(model, http, timeout)
        made = Recorded(VendorProvider(flavor, secrets=frozenset()))
        yield made


def said(deltas: Sequence[Delta]) -> MessageAppended:
    """The message that these deltas come to, as the worker commits it."""
    assembly = Assembly(lambda: NOW)
    for delta in deltas:
        assembly.take(delta)
    return MessageAppended(at=NOW, role="assistant", parts=assembly.parts())


def messages_of(*events: ChatEvent) -> list[Message]:
    return list(state_of(created(), *events).messages)
