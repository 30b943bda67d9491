"""Requests that Anthropic would refuse for what their history holds, put right."""

from __future__ import annotations

from dataclasses import replace

from pydantic_ai.profiles import ModelProfile

from service.providers.options import Options
from service.providers.provider import ModelRequest, ToolSpec
from service.providers.turns import AssistantTurn, Call, Prompt, Reasoning
from service.providers.vendor.settings import budget_of

GONE = "No longer available."


def adapted(
    request: ModelRequest, prompt: Prompt, options: Options, *, profile: ModelProfile
) -> ModelRequest:
    """The request, with tools for old calls, and without thinking where it may not be.

    A model that thinks by a budget must have begun its last calls with a thought; one
    that another model began goes on without.
    """
    if not request.tools and (gone := _stand_ins(prompt)):
        request = replace(request, tools=gone, tool_choice="none")
    if _begun_without_thought(prompt) and budget_of(request, options, profile):
        request = replace(request, reasoning_effort="none")
    return request


def _stand_ins(prompt: Prompt) -> list[ToolSpec]:
    """The tools that were called, to be told with their calls."""
    called = [
        part.name
        for turn in prompt.turns
        if isinstance(turn, AssistantTurn)
        for part in turn.parts
        if isinstance(part, Call)
    ]
    return [ToolSpec(name, GONE, {}) for name in dict.fromkeys(called)]


def _begun_without_thought(prompt: Prompt) -> bool:
    """Whether results are to be answered whose calls came of no thought of its own."""
    turn = prompt.turns[-2] if len(prompt.turns) > 1 else None
    if not isinstance(turn, AssistantTurn) or isinstance(turn.parts[0], Reasoning):
        return False
    return any(isinstance(part, Call) for part in turn.parts)
