"""One call of the model: asked, shown while it comes, committed as one step.

A failure that may pass is an event too: it closes the attempt and says when the next
one begins, so any worker goes on from there. All others fail the turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta

from service.agent import attempt
from service.agent.assemble import Assembly
from service.agent.attempt import Attempt
from service.agent.hold import Hold
from service.agent.means import Means
from service.agent.turn import model_request
from service.domain.chat.state import ChatState
from service.domain.commands.chat import (
    CommitStep,
    DraftMessage,
    FinishError,
    FinishTurn,
    ScheduleRetry,
)
from service.domain.events.chat import ChatError
from service.errors import BadEvent
from service.live.flush import PartWriter
from service.providers.provider import Delta, ModelRequest, Provider, ProviderError

logger = logging.getLogger(__name__)

UNSTORABLE = ChatError(message="the model's answer cannot be stored")


@dataclass(slots=True)
class _Answer:
    """What a model call came to, and for how long it ran."""

    assembly: Assembly
    runtime_ms: int = 0


async def generate(state: ChatState, hold: Hold, means: Means) -> None:
    """Ask the model once, and commit what came of it."""
    request = model_request(state, means.tools)
    opened = await attempt.start(state, hold, means, kind="model")
    answer = _Answer(Assembly(hold.now))
    try:
        asked = _ask(request, answer, opened.writer, hold, means)
        await hold.unless_disturbed(asked, epoch=opened.epoch)
        await _commit_answer(answer, opened, hold)
    except ProviderError as error:
        await _failed(error, opened, hold, means)
    except BadEvent:
        logger.exception("an answer cannot be stored")
        await _fail(UNSTORABLE, opened, hold)
    hold.say_through(None)


async def _ask(
    request: ModelRequest,
    answer: _Answer,
    writer: PartWriter,
    hold: Hold,
    means: Means,
) -> None:
    means.guard.check("a model call")
    hold.check()
    loop = asyncio.get_running_loop()
    asked_at = loop.time()
    async with aclosing(_deltas(means.provider, request)) as deltas:
        async for delta in deltas:
            live = answer.assembly.take(delta)
            if live is not None:
                writer.write(live)
    answer.runtime_ms = round((loop.time() - asked_at) * 1000)
    if answer.assembly.finish_reason is None:
        message = "the stream of the model was closed unexpectedly"
        raise ProviderError(kind="timeout", message=message, retryable=True)


async def _deltas(
    provider: Provider, request: ModelRequest
) -> AsyncGenerator[Delta, None]:
    """The provider's stream; whatever it raises is a ProviderError."""
    try:
        async with aclosing(provider.stream(request)) as deltas:
            async for delta in deltas:
                yield delta
    except ProviderError:
        raise
    except Exception as error:
        # the edge of a foreign library: its bug fails the turn, not the worker
        logger.exception("a provider failed", extra={"provider": provider.name})
        message = "the chat request failed unexpectedly"
        raise ProviderError(kind="generic", message=message) from error


async def _commit_answer(answer: _Answer, opened: Attempt, hold: Hold) -> None:
    assembly = answer.assembly
    parts = assembly.parts()
    fence = hold.fence(opened.epoch)
    if not parts:
        # a model that says nothing has nothing more to say
        await hold.commit(FinishTurn(**fence))
        return
    await hold.commit(
        CommitStep(
            **fence,
            attempt=opened.number,
            kind="model",
            messages=(DraftMessage(role="assistant", parts=parts),),
            usage=assembly.usage,
            runtime_ms=answer.runtime_ms,
            finish_reason=assembly.finish_reason,
        )
    )


async def _failed(
    error: ProviderError, opened: Attempt, hold: Hold, means: Means
) -> None:
    """Say when it is tried again, or that it is not."""
    said = _chat_error(error, means.provider.name)
    if not error.retryable:
        await _fail(said, opened, hold)
        return
    delay_s = means.retry.delay_s(opened.number, asked_s=error.retry_after_s)
    if delay_s is None:
        message = f"gave up after {opened.number} attempts: {said.message}"
        await _fail(said.model_copy(update={"message": message}), opened, hold)
        return
    fence = hold.fence(opened.epoch)
    await hold.commit(
        ScheduleRetry(
            **fence,
            attempt=opened.number,
            delay_ms=round(delay_s * 1000),
            retrying_at=fence["now"] + timedelta(seconds=delay_s),
            error=said,
        )
    )


async def _fail(error: ChatError, opened: Attempt, hold: Hold) -> None:
    await hold.commit(FinishError(**hold.fence(opened.epoch), error=error))


def _chat_error(error: ProviderError, provider: str) -> ChatError:
    return ChatError(
        message=error.message,
        kind=error.kind,
        detail=error.detail,
        provider=provider,
        retryable=error.retryable,
        status_code=error.status_code,
    )
