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
from service.providers.texts import clean_json
from service.tools.limits import cap_error, cap_result

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
    stop_after: bool = False
    """A turn is over once the tool has succeeded in it."""


@dataclass(frozen=True, slots=True)
class Ran:
    """The result of a call, and whether it is only some of what the tool said."""

    part: ToolResultPart
    truncated: bool


class Registry:
    """The tools of a worker, by name."""

    def __init__(self, tools: Iterable[Tool], *, now: Callable[[], datetime]) -> None:
        self._tools = {tool.spec.name: tool for tool in tools}
        self._now = now

    @property
    def stop_after(self) -> frozenset[str]:
        """Names of the tools that end a turn."""
        return frozenset(name for name, t in self._tools.items() if t.stop_after)

    def specs(self) -> tuple[ToolSpec, ...]:
        """Always in the same order: prompts stay the same bytes."""
        return tuple(tool.spec for tool in self._tools.values())

    async def run(self, call: ToolCallPart, *, context_limit: int | None) -> Ran:
        """Run one call, for a model that holds so many tokens; None: who knows.

        Raises only CancelledError.
        """
        is_error = False
        try:
            answer = await self._answer(call)
            result, truncated = cap_result(answer, context_limit=context_limit)
        except ToolError as error:
            is_error = True
            result, truncated = cap_error(error.message, context_limit=context_limit)
        part = ToolResultPart(
            tool_call_id=call.tool_call_id,
            tool_name=call.tool_name,
            result=result,
            is_error=is_error,
            created_at=self._now(),
        )
        return Ran(part, truncated)

    async def _answer(self, call: ToolCallPart) -> JsonValue:
        tool = self._tools.get(call.tool_name)
        if tool is None:
            known = ", ".join(self._tools)
            raise ToolError(f"unknown tool {call.tool_name!r}; there are: {known}")
        if not isinstance(call.args, dict):
            raise ToolError("invalid parameters: not a JSON object")
        try:
            return _plain(await tool.run(call.args))
        except ToolError:
            raise
        except Exception as error:
            # the outermost frame of a tool: its fault is the model's to work round
            logger.exception("a tool failed", extra={"tool": call.tool_name})
            failed = f"tool {call.tool_name!r} failed unexpectedly"
            raise ToolError(failed) from error


def _plain(answer: JsonValue) -> JsonValue:
    """The answer as the log will have it; what is no JSON is found here."""
    plain: JsonValue = wire.loads(wire.dumps_inner(clean_json(answer)))
    return plain
