"""Shorten a chat's history: a model writes a summary, which then stands for it.

An attempt like any other: retried when that may help, cut off by an interruption, and
without a trace until its commit. Followers see that it is under way, and how it ended.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Literal

from service.agent import attempt, failure
from service.agent.assemble import Assembly
from service.agent.attempt import Attempt
from service.agent.call import Answer
from service.agent.chosen import Chosen, asked_of
from service.agent.hold import Hold
from service.agent.means import Means
from service.agent.preparation import ask_for
from service.agent.prompt import summary_request
from service.domain.chat.compaction import TOOL, shown_call_id
from service.domain.chat.context import context_tokens
from service.domain.chat.state import ChatState
from service.domain.commands.chat import CommitCompaction, Spent
from service.domain.events.chat import ChatError, CompactionSource
from service.domain.parts import TextPart, ToolCallPart, ToolResultPart, public_part
from service.domain.prompts import SUMMARY_PREFIX
from service.errors import BadEvent
from service.providers.provider import ErrorKind, ProviderError

logger = logging.getLogger(__name__)

EMPTY = "the model gave no summary, so the chat is as long as it was; try again"

UNSTORABLE = ChatError(message="the summary of the chat cannot be stored")

SHOWN_S = 0.5
"""For followers to be told of a failure before the turn ends by it."""

TIMEOUTS: frozenset[ErrorKind] = frozenset({"timeout", "stream_silence_timeout"})


async def compact(
    source: CompactionSource,
    state: ChatState,
    hold: Hold,
    means: Means,
    *,
    chosen: Chosen,
) -> None:
    """Ask for a summary once, and commit what came of it."""
    ref = chosen.summariser.ref
    asked = asked_of(state, chosen.summariser)
    opened = await attempt.start(state, hold, means, kind="compaction", asked=asked)
    _show_call(opened, source, hold)
    answer = Answer(Assembly(hold.now))
    try:
        made = summary_request(
            state, chosen.summariser, means.tools, means.sources, chat_id=hold.chat_id
        )
        asking = ask_for(made, chosen.summariser, answer, hold=hold, means=means)
        await hold.unless_disturbed(asking, epoch=opened.epoch)
        text = _text(answer)
        command = _command(
            text, source, state, opened, answer, chosen=chosen, hold=hold
        )
        await hold.commit(command)
    except ProviderError as error:
        _count("timeout" if error.kind in TIMEOUTS else "error", chosen, means)
        spent = answer.lost(asked, chosen.summariser)
        said = await failure.retry_later(
            error, opened, ref, hold=hold, means=means, spent=spent
        )
        if said is not None:
            await _fail(said, opened, hold, spent=spent)
    except BadEvent:
        logger.exception("a summary cannot be stored")
        _count("error", chosen, means)
        spent = answer.lost(asked, chosen.summariser)
        await _fail(UNSTORABLE, opened, hold, spent=spent)
    else:
        _count("success", chosen, means)
    hold.say_through(None)


def _text(answer: Answer) -> str:
    """The summary. Raises ProviderError when there is none."""
    texts = (
        part.text.strip()
        for part in answer.assembly.parts()
        if isinstance(part, TextPart)
    )
    joined = " ".join(text for text in texts if text)
    if joined:
        return joined
    filtered = answer.assembly.finish_reason == "content_filter"
    raise ProviderError(kind="content_filter" if filtered else "generic", message=EMPTY)


def _command(
    text: str,
    source: CompactionSource,
    state: ChatState,
    opened: Attempt,
    answer: Answer,
    *,
    chosen: Chosen,
    hold: Hold,
) -> CommitCompaction:
    window = chosen.window
    return CommitCompaction(
        **hold.fence(opened.epoch),
        attempt=opened.number,
        summary=f"{SUMMARY_PREFIX}\n\n{text}",
        shown=text,
        source=source,
        threshold_percent=window.threshold_percent if window else None,
        context_tokens=context_tokens(state),
        context_limit=window.limit if window else None,
        asked=asked_of(state, chosen.summariser),
        **answer.spent(chosen.summariser),
    )


def _show_call(opened: Attempt, source: CompactionSource, hold: Hold) -> None:
    call = ToolCallPart(
        tool_call_id=shown_call_id(opened.epoch, opened.number),
        tool_name=TOOL,
        args={"source": source},
        created_at=hold.now(),
    )
    opened.show(public_part(call))


async def _fail(
    error: ChatError, opened: Attempt, hold: Hold, *, spent: Spent | None = None
) -> None:
    """No call is left without a result, not even in what is only shown."""
    result = ToolResultPart(
        tool_call_id=shown_call_id(opened.epoch, opened.number),
        tool_name=TOOL,
        result={"error": error.message},
        is_error=True,
        created_at=hold.now(),
    )
    opened.show(public_part(result))
    try:
        async with asyncio.timeout(SHOWN_S):
            await opened.writer.drain()
    except TimeoutError:
        logger.warning("the failure of a compaction was not shown")
    await failure.fail(error, opened, hold, spent=spent)


def _count(
    result: Literal["success", "error", "timeout"], chosen: Chosen, means: Means
) -> None:
    ref = chosen.summariser.ref
    means.metrics.compaction(ref.provider, ref.model, result)
