"""Do one action of a turn and commit it.

A model call or a tool batch is an attempt: `generation_attempt_started` opens its
episode before anything is asked, live parts show it meanwhile, and one commit closes
it. Killed at any line, the next worker starts another attempt; only what a commit
closed is part of the chat. Tools may so run twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from service.agent.assemble import Assembly, clean_json
from service.agent.hold import Hold
from service.agent.next_action import (
    Action,
    AskClient,
    AwaitClient,
    Compact,
    EndInterruption,
    EndTurn,
    Generate,
    Nothing,
    RunTools,
)
from service.agent.partial import partial
from service.db.guard import Guard
from service.db.pool import Pool
from service.domain.chat.calls import since_last_user
from service.domain.chat.state import ChatState
from service.domain.commands.chat import (
    CancelToolCalls,
    CommitStep,
    DraftMessage,
    FinishError,
    FinishInterruption,
    FinishTurn,
    RequireAction,
    StartAttempt,
)
from service.domain.events.chat import (
    AttemptKind,
    ChatError,
    GenerationAttemptStarted,
    TurnSettings,
)
from service.domain.parts import ToolCallPart, ToolResultPart, public_part
from service.errors import BadEvent
from service.live.flush import Flusher, PartWriter
from service.live.read import read_episode
from service.providers.provider import Delta, ModelRequest, Provider, ProviderError
from service.tools.registry import Registry

logger = logging.getLogger(__name__)

CLIENT_TIME = timedelta(minutes=5)
"""For a client to answer the calls of its tools; a person may have to be asked."""

UNABLE = ChatError(
    kind="config", message="this service has no model that shortens a history"
)

DRAIN_S = 2.0
"""For the last parts of an interrupted answer; what is not written then is not kept."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a worker acts with."""

    provider: Provider
    tools: Registry
    flusher: Flusher
    pool: Pool
    guard: Guard


async def act(action: Action, state: ChatState, *, hold: Hold, means: Means) -> None:
    """Do it and commit it. Raises what `Hold` does, Disturbed too."""
    match action:
        case Generate(not_before=not_before):
            if await _waited_until(not_before, state, hold):
                await _generate(state, hold, means)
        case RunTools(calls):
            await _run_tools(calls, state, hold, means)
        case AskClient():
            deadline = hold.now() + CLIENT_TIME
            fence = hold.fence(state.epoch)
            await hold.commit(RequireAction(**fence, deadline=deadline))
        case AwaitClient(deadline):
            if await _waited_until(deadline, state, hold):
                await hold.commit(CancelToolCalls(**hold.fence(state.epoch)))
        case Compact():
            await hold.commit(FinishError(**hold.fence(state.epoch), error=UNABLE))
        case EndTurn(reason):
            await hold.commit(FinishTurn(**hold.fence(state.epoch), reason=reason))
        case EndInterruption():
            await _end_interruption(state, hold, means)
        case Nothing():
            pass
        case _:
            assert_never(action)


async def _waited_until(at: datetime | None, state: ChatState, hold: Hold) -> bool:
    """Wait until then by the clock; False when asked to give the chat back before.

    Raises Disturbed as soon as the log says that it is no longer waited for.
    """
    seconds = (at - hold.now()).total_seconds() if at else 0.0
    if seconds > 0:
        await hold.unless_disturbed(hold.pause(seconds), epoch=state.epoch)
    return not hold.stopping


async def _generate(state: ChatState, hold: Hold, means: Means) -> None:
    request = _request(state, means)
    episode = await _start(state, hold, means, kind="model")
    answer = _Answer(Assembly(hold.now))
    try:
        asked = _ask(request, answer, hold, means)
        await hold.unless_disturbed(asked, epoch=episode.epoch)
        await _commit_answer(answer, request.model, episode, hold)
    except ProviderError as error:
        await _fail(_chat_error(error, means.provider.name), episode, hold)
    except BadEvent:
        logger.exception("an answer cannot be stored")
        reason = ChatError(message="the model's answer cannot be stored")
        await _fail(reason, episode, hold)
    hold.say_through(None)


@dataclass(frozen=True, slots=True)
class _Episode:
    epoch: int
    attempt: int
    writer: PartWriter


@dataclass(slots=True)
class _Answer:
    """What a model call came to, and for how long it ran."""

    assembly: Assembly
    runtime_ms: int = 0


def _request(state: ChatState, means: Means) -> ModelRequest:
    said = since_last_user(state.messages)
    settings = (said[0].settings if said else None) or TurnSettings()
    return ModelRequest(
        messages=[m for m in state.messages if m.visibility != "user"],
        tools=means.tools.specs(),
        model=settings.model,
        reasoning_effort=settings.reasoning_effort,
    )


async def _start(
    state: ChatState, hold: Hold, means: Means, *, kind: AttemptKind
) -> _Episode:
    """Open an attempt in the log, and its episode."""
    command = StartAttempt(**hold.fence(state.epoch), kind=kind)
    handled = await hold.commit(command)
    for _, event in handled.events:
        if isinstance(event, GenerationAttemptStarted):
            writer = means.flusher.open(hold.chat_id, event.epoch, event.attempt)
            hold.say_through(writer)
            return _Episode(event.epoch, event.attempt, writer)
    raise RuntimeError(f"{command!r} started no attempt")


async def _ask(
    request: ModelRequest, answer: _Answer, hold: Hold, means: Means
) -> None:
    means.guard.check("a model call")
    hold.check()
    loop = asyncio.get_running_loop()
    asked_at = loop.time()
    async with aclosing(_deltas(means.provider, request)) as deltas:
        async for delta in deltas:
            live = answer.assembly.take(delta)
            if live is not None and hold.writer is not None:
                hold.writer.write(live)
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


async def _commit_answer(
    answer: _Answer, model: str | None, episode: _Episode, hold: Hold
) -> None:
    assembly = answer.assembly
    parts = assembly.parts()
    fence = hold.fence(episode.epoch)
    if not parts:
        # a model that says nothing has nothing more to say
        await hold.commit(FinishTurn(**fence))
        return
    await hold.commit(
        CommitStep(
            **fence,
            attempt=episode.attempt,
            kind="model",
            messages=(DraftMessage(role="assistant", parts=parts),),
            usage=assembly.usage,
            runtime_ms=answer.runtime_ms,
            finish_reason=assembly.finish_reason,
            model=model,
        )
    )


async def _run_tools(
    calls: Sequence[ToolCallPart], state: ChatState, hold: Hold, means: Means
) -> None:
    episode = await _start(state, hold, means, kind="tools")
    batch = _batch(calls, episode.writer, hold, means)
    results = await hold.unless_disturbed(batch, epoch=episode.epoch)
    await hold.commit(
        CommitStep(
            **hold.fence(episode.epoch),
            attempt=episode.attempt,
            kind="tools",
            messages=tuple(DraftMessage(role="tool", parts=(r,)) for r in results),
        )
    )
    hold.say_through(None)


async def _batch(
    calls: Sequence[ToolCallPart], writer: PartWriter, hold: Hold, means: Means
) -> list[ToolResultPart]:
    """Run the calls side by side; results in the order of the calls."""
    means.guard.check("a tool call")
    hold.check()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_run_tool(call, writer, means)) for call in calls]
    return [task.result() for task in tasks]


async def _run_tool(
    call: ToolCallPart, writer: PartWriter, means: Means
) -> ToolResultPart:
    result = await means.tools.run(call)
    result = result.model_copy(update={"result": clean_json(result.result)})
    # shown, and kept by an interruption, before slower ones of its batch are done
    writer.write(public_part(result), role="tool")
    return result


async def _end_interruption(state: ChatState, hold: Hold, means: Means) -> None:
    said: tuple[DraftMessage, ...] = ()
    if state.episode is not None:
        await _drain(hold)
        async with means.pool.connection() as connection:
            episode = state.episode
            parts = await read_episode(
                connection, hold.chat_id, episode.epoch, episode.attempt
            )
        said = partial((part.data for part in parts), now=hold.now())
    command = FinishInterruption(**hold.fence(state.epoch), partial=said)
    await hold.commit(command)
    hold.say_through(None)


async def _drain(hold: Hold) -> None:
    """Let the table have the last parts, when it was this worker that was cut off."""
    if hold.writer is None:
        return
    try:
        async with asyncio.timeout(DRAIN_S):
            await hold.writer.drain()
    except TimeoutError:
        logger.warning("the last parts of an interrupted answer are not kept")


async def _fail(error: ChatError, episode: _Episode, hold: Hold) -> None:
    await hold.commit(FinishError(**hold.fence(episode.epoch), error=error))


def _chat_error(error: ProviderError, provider: str) -> ChatError:
    return ChatError(
        message=error.message,
        kind=error.kind,
        detail=error.detail,
        provider=provider,
        retryable=error.retryable,
        status_code=error.status_code,
    )
