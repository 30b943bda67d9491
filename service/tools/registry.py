"""Which tools there are, and how a call of one becomes a result.

A tool never ends a turn by failing: whatever goes wrong is a result with `is_error`
and `{"error": text}`, for the model to read. Calls are at least once: a worker that
dies before its batch is committed lets another one run the batch again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from service import wire
from service.domain.parts import ToolCallPart, ToolResultPart
from service.providers.provider import ToolSpec

logger = logging.getLogger(__name__)

Run = Callable[[Mapping[str, JsonValue]], Awaitable[JsonValue]]


@dataclass(eq=False)
class ToolError(Exception):
    """A tool says what is wrong with a call; the text is for the model."""

    message: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as the model sees it, and what runs it. `run` may raise ToolError."""

    spec: ToolSpec
    run: Run


class Registry:
    """The tools of a worker, by name."""

    def __init__(self, tools: Iterable[Tool], *, now: Callable[[], datetime]) -> None:
        self._tools = {tool.spec.name: tool for tool in tools}
        self._now = now

    def specs(self) -> tuple[ToolSpec, ...]:
        """Always in the same order: prompts stay the same bytes."""
        return tuple(tool.spec for tool in self._tools.values())

    async def run(self, call: ToolCallPart) -> ToolResultPart:
        """Run one call. Raises only CancelledError."""
        result, is_error = await self._answer(call)
        return ToolResultPart(
            tool_call_id=call.tool_call_id,
            tool_name=call.tool_name,
            result=result,
            is_error=is_error,
            created_at=self._now(),
        )

    async def _answer(self, call: ToolCallPart) -> tuple[JsonValue, bool]:
        tool = self._tools.get(call.tool_name)
        if tool is None:
            known = ", ".join(self._tools)
            return _error(f"unknown tool {call.tool_name!r}; there are: {known}")
        if not isinstance(call.args, dict):
            return _error("invalid parameters: not a JSON object")
        try:
            result = await tool.run(call.args)
            wire.dumps(result)  # what is no JSON is the tool's fault, found here
            return result, False
        except ToolError as error:
            return _error(error.message)
        except Exception:
            # the outermost frame of a tool: its fault is the model's to work round
            logger.exception("a tool failed", extra={"tool": call.tool_name})
            return _error(f"tool {call.tool_name!r} failed unexpectedly")


def _error(text: str) -> tuple[JsonValue, bool]:
    return {"error": text}, True
