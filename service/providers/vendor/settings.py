"""What a request asks of a model, in the terms of pydantic-ai.

Reasoning models refuse some of it (a temperature, say); what they refuse is left out
there, for an answer without it is better than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Literal, get_args

from pydantic_ai.models.anthropic import AnthropicModelSettings
from pydantic_ai.models.openai import OpenAIResponsesModelSettings
from pydantic_ai.native_tools import AbstractNativeTool, WebSearchTool
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.profiles.anthropic import ANTHROPIC_THINKING_BUDGET_MAP
from pydantic_ai.settings import ModelSettings

from service.providers.choose import Api
from service.providers.options import MIN_THINKING, Options, read_options
from service.providers.provider import ModelRequest

USER_AGENT = f"parley/{version('parley')}"

HEADERS = {
    "User-Agent": USER_AGENT,
    # what we hear of a body must be what the vendor wrote
    "Accept-Encoding": "identity",
}

Effort = Literal["minimal", "low", "medium", "high", "xhigh", "max"]

_EFFORTS = frozenset(get_args(Effort))

_SAMPLING = ("temperature", "top_p", "top_k")
"""Refused by Anthropic while a model thinks."""


def options_of(request: ModelRequest) -> Options:
    """The options of the request, without those that are none."""
    return Options(**_any(read_options(request.options, model=request.model or "")))


def native_tools(
    request: ModelRequest, options: Options, *, api: Api
) -> list[AbstractNativeTool]:
    """What the vendor executes itself; models that cannot search go without."""
    # without tools of ours there is no choice to be told
    chosen = request.tool_choice == "auto" or request.tools
    if options.web_search and api != "chat" and chosen:
        return [WebSearchTool(optional=True)]
    return []


def settings_of(
    request: ModelRequest,
    options: Options,
    *,
    api: Api,
    profile: ModelProfile,
    official: bool,
) -> ModelSettings:
    """The settings of one request. `official`: the vendor's own models are asked."""
    settings = _shared(request, options)
    if api == "messages":
        return _messages(settings, request, options, profile)
    settings.update(_any(_openai(request, options, api, official=official)))
    if settings.get("thinking") and not official and not _thinks(profile):
        # models that nobody knows of get what they were configured to be asked
        effort = settings.pop("thinking")
        asked = "xhigh" if effort == "max" else effort
        settings.update(_any({"openai_reasoning_effort": asked}))
    return settings


def _shared(request: ModelRequest, options: Options) -> ModelSettings:
    settings = ModelSettings(extra_headers=dict(HEADERS))
    wanted = {
        "max_tokens": request.max_output_tokens,
        "temperature": request.temperature,
        "top_p": options.top_p,
        "top_k": options.top_k,
        "presence_penalty": options.presence_penalty,
        "frequency_penalty": options.frequency_penalty,
        "parallel_tool_calls": options.parallel_tool_calls,
        "extra_body": options.extra_body,
        "thinking": _thinking(request.reasoning_effort),
    }
    settings.update(_any(_given(wanted)))
    if request.tool_choice == "none" and request.tools:
        settings["tool_choice"] = "none"
    return settings


def _thinking(effort: str | None) -> str | bool | None:
    if effort == "none":
        return False
    return effort if effort in _EFFORTS else None


def _openai(
    request: ModelRequest, options: Options, api: Api, *, official: bool
) -> OpenAIResponsesModelSettings:
    tier = options.service_tier
    # some servers that copied chat completions refuse every field they do not know
    knows_keys = official or api == "responses"
    wanted = {
        "openai_store": options.store,
        "openai_text_verbosity": options.verbosity,
        "openai_service_tier": None if tier == "standard_only" else tier,
        "openai_prompt_cache_key": request.session if knows_keys else None,
    }
    settings: OpenAIResponsesModelSettings = _any(_given(wanted))
    if api == "responses":
        # what was said goes back as the items it was, always all of it
        settings["openai_send_reasoning_ids"] = True
        settings["openai_prompt_cache_diagnostics"] = False
        if options.reasoning_summary is not None:
            settings["openai_reasoning_summary"] = options.reasoning_summary
    return settings


def _messages(
    shared: ModelSettings,
    request: ModelRequest,
    options: Options,
    profile: ModelProfile,
) -> AnthropicModelSettings:
    settings: AnthropicModelSettings = _any(dict(shared))
    settings["anthropic_cache_instructions"] = True
    settings["anthropic_cache_messages"] = True
    if options.service_tier in ("auto", "standard_only"):
        settings["anthropic_service_tier"] = _any(options.service_tier)
    budget = budget_of(request, options, profile)
    if budget is not None:
        limit = settings.get("max_tokens")
        if limit is not None and limit <= budget:
            # the budget is of the same tokens, and the vendor wants it smaller
            settings["max_tokens"] = limit + budget
    if budget is not None and options.thinking_budget_tokens is not None:
        settings.pop("thinking", None)
        settings["anthropic_thinking"] = {"type": "enabled", "budget_tokens": budget}
    if settings.get("thinking") or "anthropic_thinking" in settings:
        for name in _SAMPLING:
            _any(settings).pop(name, None)
    return settings


def budget_of(
    request: ModelRequest, options: Options, profile: ModelProfile
) -> int | None:
    """Tokens of thought that are asked for by number."""
    effort = _thinking(request.reasoning_effort)
    if effort is False or _no_budgets(profile):
        return None
    if options.thinking_budget_tokens is not None:
        return max(MIN_THINKING, options.thinking_budget_tokens)
    if effort is None or _any(profile).get("anthropic_supports_adaptive_thinking"):
        return None
    return ANTHROPIC_THINKING_BUDGET_MAP[_any(effort)]


def _no_budgets(profile: ModelProfile) -> bool:
    return bool(_any(profile).get("anthropic_disallows_budget_thinking"))


def _thinks(profile: ModelProfile) -> bool:
    return bool(
        profile.get("supports_thinking") or profile.get("thinking_always_enabled")
    )


def _given(wanted: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in wanted.items() if value is not None}


def _any(value: object) -> Any:
    """Settings by names that the library checks itself."""
    return value
