"""Ask a provider that talks to a server of ours; put its answers into a history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from service.agent.assemble import Assembly
from service.domain.events.chat import ChatEvent, MessageAppended
from service.providers.choose import Vendor, VendorModel
from service.providers.provider import (
    Delta,
    ModelRequest,
    Provider,
    ReasoningDelta,
    TextDelta,
    ToolSpec,
)
from service.providers.vendor.model import open_vendor
from service.tools.clock import SPEC
from tests.builders import NOW, created, state_of
from tests.fixtures.anthropic_server import AnthropicServer
from tests.fixtures.model_servers import ModelServer
from tests.fixtures.openai_server import OpenAIServer

PATIENCE_S = 20.0

SERVERS: dict[Vendor, type[ModelServer]] = {
    "openai": OpenAIServer,
    "anthropic": AnthropicServer,
}
MODELS: dict[Vendor, str] = {"openai": "gpt-5", "anthropic": "claude-opus-5-5"}


@dataclass
class Line:
    """A provider, and the server at its other end."""

    provider: Provider
    server: ModelServer

    async def ask(
        self,
        *events: ChatEvent,
        tools: Sequence[ToolSpec] = (SPEC,),
        effort: str | None = None,
        model: str | None = None,
    ) -> list[Delta]:
        """All deltas of the answer to this history."""
        request = ModelRequest(
            messages=list(state_of(created(), *events).messages),
            tools=tools,
            model=model,
            reasoning_effort=effort,
        )
        async with (
            asyncio.timeout(PATIENCE_S),
            aclosing(self.provider.stream(request)) as deltas,
        ):
            return [delta async for delta in deltas]


@asynccontextmanager
async def line(
    vendor: Vendor,
    *,
    bytes_at_a_time: int | None = None,
    silence_s: float = 600.0,
    key: str | None = ModelServer.key,
) -> AsyncIterator[Line]:
    """A running server and a provider that asks it."""
    async with SERVERS[vendor](bytes_at_a_time=bytes_at_a_time) as server:
        chosen = VendorModel(vendor, MODELS[vendor], server.url, key)
        async with open_vendor(chosen, silence_s=silence_s) as provider:
            yield Line(provider, server)


def message_of(deltas: Sequence[Delta]) -> MessageAppended:
    """The assistant's message that these deltas come to, as the worker commits it."""
    assembly = Assembly(lambda: NOW)
    for delta in deltas:
        assembly.take(delta)
    return MessageAppended(at=NOW, role="assistant", parts=assembly.parts())


def text_of(deltas: Sequence[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def reasoning_of(deltas: Sequence[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, ReasoningDelta))
