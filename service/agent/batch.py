"""One batch of the worker's tools: run side by side, committed together.

At least once: a worker that dies before the commit lets another run the batch again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from service.agent import attempt
from service.agent.assemble import clean_json
from service.agent.chosen import Chosen
from service.agent.hold import Hold
from service.agent.means import Means
from service.domain.chat.state import ChatState
from service.domain.commands.chat import CommitStep, DraftMessage
from service.domain.parts import ToolCallPart, ToolResultPart, public_part
from service.live.flush import PartWriter


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
    batch = _batch(calls, opened.writer, hold, means)
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
    calls: Sequence[ToolCallPart], writer: PartWriter, hold: Hold, means: Means
) -> list[ToolResultPart]:
    means.guard.check("a tool call")
    hold.check()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_run(call, writer, means)) for call in calls]
    return [task.result() for task in tasks]


async def _run(call: ToolCallPart, writer: PartWriter, means: Means) -> ToolResultPart:
    result = await means.tools.run(call)
    result = result.model_copy(update={"result": clean_json(result.result)})
    # shown, and kept by an interruption, before slower ones of its batch are done
    writer.write(public_part(result), role="tool")
    return result
