"""One call of a model: counted, watched for silence, timed, its deltas put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from service import wire
from service.agent.assemble import Assembly, LivePart
from service.agent.guards import listen
from service.agent.means import Means
from service.domain.commands.chat import Spent
from service.domain.events.chat import ModelRef, Usage
from service.domain.parts import (
    FileReferencePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from service.providers.context_limit import find_context_limit
from service.providers.models import Model
from service.providers.provider import Delta, ModelRequest, Opened, ProviderError

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Answer:
    """What a model call came to, and for how long it ran."""

    assembly: Assembly
    runtime_ms: int = 0

    def spent(self, model: Model) -> dict[str, Any]:
        """What the commands say of it that close its attempt."""
        usage = self._usage(model)
        return {
            "usage": usage,
            "cost_micros": model.cost(usage),
            "runtime_ms": self.runtime_ms,
            "finish_reason": self.assembly.finish_reason,
            "response": self.assembly.response,
        }

    def lost(self, asked: ModelRef, model: Model) -> Spent | None:
        """What it took, when no message comes of it; None: nobody counted."""
        usage = self._usage(model)
        if usage is None:
            return None
        cost = model.cost(usage)
        return Spent(
            asked=asked, usage=usage, cost_micros=cost, runtime_ms=self.runtime_ms
        )

    def _usage(self, model: Model) -> Usage | None:
        usage = self.assembly.usage
        if usage is None or not any(
            usage.model_dump(exclude={"context_limit"}).values()
        ):
            return None
        said = usage.context_limit or find_context_limit(self.assembly.response)
        limit = said or model.context_limit
        return usage.model_copy(update={"context_limit": limit})


async def ask(
    request: ModelRequest,
    model: Model,
    answer: Answer,
    *,
    means: Means,
    show: Callable[[LivePart], None] | None = None,
) -> None:
    """Let the model answer the request; `show` is given what followers see of it.

    Raises ProviderError, whatever went wrong.
    """
    ref, metrics, clock = model.ref, means.metrics, means.clock
    metrics.called(
        ref.provider,
        ref.model,
        messages=len(request.messages),
        prompt_bytes=prompt_bytes(request),
    )
    asked_at, waiting = clock.monotonic(), True

    def take(delta: Delta) -> None:
        nonlocal waiting
        if waiting and not isinstance(delta, Opened):
            waiting = False
            seconds = clock.monotonic() - asked_at
            metrics.first_part(ref.provider, ref.model, seconds)
        live = answer.assembly.take(delta)
        if live is not None and show is not None:
            show(live)

    with means.tracing.span(
        "model call", provider=ref.provider, model=ref.model, attempt=request.attempt
    ) as span:
        try:
            await listen(
                _deltas(model, request), take, patience=means.patience, clock=clock
            )
        finally:
            answer.runtime_ms = max(0, round((clock.monotonic() - asked_at) * 1000))
        if (usage := answer.assembly.usage) is not None:
            span.set_attribute("parley.input_tokens", usage.input_tokens or 0)
            span.set_attribute("parley.output_tokens", usage.output_tokens or 0)
    if answer.assembly.finish_reason is None:
        message = "the stream of the model was closed unexpectedly"
        raise ProviderError(kind="timeout", message=message, retryable=True)


async def _deltas(model: Model, request: ModelRequest) -> AsyncGenerator[Delta, None]:
    """The provider's stream; whatever it raises is a ProviderError."""
    try:
        async with aclosing(model.provider.stream(request)) as deltas:
            async for delta in deltas:
                yield delta
    except ProviderError:
        raise
    except asyncio.CancelledError as error:
        if not cancelled_by_us():
            # somebody at the other end, or in between, and none of us
            message = "the call of the model was cancelled by its server"
            raise ProviderError("timeout", message, retryable=True) from error
        raise
    except Exception as error:
        # the edge of a foreign library: its bug fails the turn, not the worker
        logger.exception("a provider failed", extra={"provider": model.ref.provider})
        message = "the chat request failed unexpectedly"
        raise ProviderError(kind="generic", message=message) from error


def cancelled_by_us() -> bool:
    """Whether somebody here wants the running task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def prompt_bytes(request: ModelRequest) -> int:
    """About how much the model has to read: texts, arguments, results, files."""
    told = sum(_bytes(text) for text in request.system)
    said = sum(
        _part_bytes(part) for message in request.messages for part in message.parts
    )
    return told + said + sum(len(file.data) for file in request.files.values())


def _part_bytes(part: Part) -> int:
    match part:
        case TextPart(text=text) | ReasoningPart(text=text):
            return _bytes(text)
        case ToolCallPart(args=value) | ToolResultPart(result=value):
            return len(wire.dumps(value))
        case FileReferencePart(content=content):
            return _bytes(content)
        case _:
            return 0


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="replace"))
