"""What a call cost, in our terms."""

from __future__ import annotations

from pydantic import JsonValue
from pydantic_ai.usage import RequestUsage

from service.domain.events.chat import Usage
from service.providers.context_limit import MOST, find_context_limit


def usage_of(usage: RequestUsage, *, said: JsonValue = None) -> Usage | None:
    """Tokens; those read from and written to a cache are not counted as input.

    `said` is the vendor's final word, which may tell how large its context is.
    """
    counted = (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
    )
    if not all(map(_counts, counted)) or not any(counted[:2]):
        return None
    cached = usage.cache_read_tokens + usage.cache_write_tokens
    details = usage.details
    reasoning = details.get("reasoning_tokens") or details.get("thinking_tokens")
    return Usage(
        input_tokens=max(0, usage.input_tokens - cached),
        output_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        reasoning_tokens=(reasoning or None) if _counts(reasoning) else None,
        cache_read_tokens=usage.cache_read_tokens or None,
        cache_creation_tokens=usage.cache_write_tokens or None,
        context_limit=find_context_limit(said),
    )


def _counts(tokens: object) -> bool:
    """Whether this is a number of tokens; gateways send whatever they like."""
    return type(tokens) is int and 0 <= tokens <= MOST
