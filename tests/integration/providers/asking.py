"""Ask a provider that talks to a server of ours; put its answers into a history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from service.agent.assemble import Assembly
from service.domain.events.chat import ChatEvent, MessageAppended, ModelRef
from service.providers.models import Model, OneModel
from service.providers.provider import (
    Delta,
    Finish,
    FinishReason,
    ModelRequest,
    Opened,
    Provider,
    ReasoningDelta,
    TextDelta,
    ToolSpec,
)
from service.providers.vendor.model import open_vendor
from service.tools.clock import SPEC
from tests.builders import NOW, created, state_of
from tests.fixtures.model_servers import ModelServer
from tests.fixtures.wires import SERVERS, Wire, vendor_model

PATIENCE_S = 20.0

SHOWN = {"reasoning_summary": "auto"}
"""Options that have a model tell what it thinks, where it must be asked."""


@dataclass
class Line:
    """A provider, and the server at its other end."""

    provider: Provider
    server: ModelServer

    @property
    def models(self) -> OneModel:
        """For a worker: the one, with its reasoning shown."""
        ref = ModelRef(provider=self.provider.name, model="default")
        model = Model(self.provider, ref, options=SHOWN, names_chats=False)
        return OneModel(model)

    async def ask(
        self,
        *events: ChatEvent,
        tools: Sequence[ToolSpec] = (SPEC,),
        effort: str | None = None,
        model: str | None = None,
        **how: Any,
    ) -> list[Delta]:
        """All deltas of the answer to this history; `how` goes into the request."""
        request = ModelRequest(
            messages=list(state_of(created(), *events).messages),
            tools=tools,
            model=model,
            reasoning_effort=effort,
            **{"options": SHOWN, **how},
        )
        async with (
            asyncio.timeout(PATIENCE_S),
            aclosing(self.provider.stream(request)) as deltas,
        ):
            return [delta async for delta in deltas]


@asynccontextmanager
async def line(
    wire: Wire,
    *,
    bytes_at_a_time: int | None = None,
    silence_s: float = 600.0,
    key: str | None = ModelServer.key,
) -> AsyncIterator[Line]:
    """A running server and a provider that asks it."""
    async with SERVERS[wire](bytes_at_a_time=bytes_at_a_time) as server:
        chosen = vendor_model(wire, server.url, key)
        async with open_vendor(chosen, silence_s=silence_s) as provider:
            yield Line(provider, server)


def message_of(deltas: Sequence[Delta]) -> MessageAppended:
    """The assistant's message that these deltas come to, as the worker commits it."""
    assembly = Assembly(lambda: NOW)
    for delta in deltas:
        assembly.take(delta)
    return MessageAppended(at=NOW, role="assistant", parts=assembly.parts())


def end_of(deltas: Sequence[Delta]) -> FinishReason:
    """How the answer ended; it must have, after it had been opened."""
    assert deltas[0] == Opened()
    assert deltas.count(Opened()) == 1
    last = deltas[-1]
    assert isinstance(last, Finish)
    return last.reason


def text_of(deltas: Sequence[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def reasoning_of(deltas: Sequence[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, ReasoningDelta))
