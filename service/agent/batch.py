"""One batch of the worker's tools: run side by side, committed together.

At least once: a worker that dies before the commit lets another run the batch again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from service import wire
from service.agent import attempt
from service.agent.attempt import Attempt
from service.agent.call import cancelled_by_us
from service.agent.chosen import Chosen
from service.agent.hold import Hold
from service.agent.means import Means
from service.domain.chat.state import ChatState
from service.domain.commands.chat import CommitStep, DraftMessage
from service.domain.parts import ToolCallPart, ToolResultPart, public_part

logger = logging.getLogger(__name__)

NOT_BUILT_IN = "mcp"
"""Label of all other tools: what models make up would be names without end."""


async def run_tools(
    calls: Sequence[ToolCallPart],
    state: ChatState,
    hold: Hold,
    means: Means,
    *,
    chosen: Chosen | None,
) -> None:
    """Run the calls and commit their results, in the order of the calls.

    `chosen` is None when the chat has no model any more: what was called is answered.
    """
    opened = await attempt.start(state, hold, means, kind="tools")
    batch = _batch(calls, opened, chosen, hold=hold, means=means)
    results = await hold.unless_disturbed(batch, epoch=opened.epoch)
    await hold.commit(
        CommitStep(
            **hold.fence(opened.epoch),
            attempt=opened.number,
            kind="tools",
            messages=tuple(DraftMessage(role="tool", parts=(r,)) for r in results),
        )
    )
    hold.say_through(None)


async def _batch(
    calls: Sequence[ToolCallPart],
    opened: Attempt,
    chosen: Chosen | None,
    *,
    hold: Hold,
    means: Means,
) -> list[ToolResultPart]:
    means.guard.check("a tool call")
    hold.check()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_run(call, opened, chosen, hold=hold, means=means))
            for call in calls
        ]
    return [task.result() for task in tasks]


async def _run(
    call: ToolCallPart,
    opened: Attempt,
    chosen: Chosen | None,
    *,
    hold: Hold,
    means: Means,
) -> ToolResultPart:
    limit = chosen.context_limit if chosen is not None else None
    truncated = False
    try:
        with means.tracing.span("tool", tool=call.tool_name):
            ran = await means.tools.run(call, context_limit=limit)
        result, truncated = ran.part, ran.truncated
    except asyncio.CancelledError:
        if cancelled_by_us():
            raise
        # the tool cancelled itself, as libraries do when a connection ends
        result = _cancelled(call, hold)
    # shown, and kept by an interruption, before slower ones of its batch are done
    opened.show(public_part(result))
    if chosen is not None:
        _count(result, chosen, means, truncated=truncated)
    return result


def _cancelled(call: ToolCallPart, hold: Hold) -> ToolResultPart:
    logger.error("a tool cancelled itself", extra={"tool": call.tool_name})
    return ToolResultPart(
        tool_call_id=call.tool_call_id,
        tool_name=call.tool_name,
        result={"error": f"tool {call.tool_name!r} failed unexpectedly"},
        is_error=True,
        created_at=hold.now(),
    )


def _count(
    result: ToolResultPart, chosen: Chosen, means: Means, *, truncated: bool
) -> None:
    ref = chosen.model.ref
    built_in = {tool.name for tool in means.tools.specs()}
    means.metrics.tool_result(
        ref.provider,
        ref.model,
        tool=result.tool_name if result.tool_name in built_in else NOT_BUILT_IN,
        bytes=len(wire.dumps(result.result)),
        is_error=result.is_error,
        truncated=truncated,
    )
