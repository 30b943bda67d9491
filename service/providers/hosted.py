"""Calls that a vendor executed itself, fit to be sent back to it.

Only complete pairs go back, each once, to the vendor that made them: a call with the
result that came after it in the same answer, both marked as its own. Another vendor
gets neither, for their ids and contents mean nothing to it. A result whose call is gone
is told as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from service.domain.parts import Part, ToolCallPart, ToolResultPart
from service.providers.provider import Metadata
from service.providers.texts import clean

WEB_SEARCH = "web_search"
"""The one tool of vendors whose calls can be told again."""


@dataclass(frozen=True, slots=True)
class HostedCall:
    """A call; `id` is the vendor's own."""

    id: str
    name: str
    args: dict[str, JsonValue]
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class HostedResult:
    """Its result, as the vendor gave it."""

    id: str
    name: str
    result: JsonValue
    metadata: Metadata


Hosted = HostedCall | HostedResult


def own(metadata: Metadata | None, identity: str) -> Metadata | None:
    """Metadata that this provider wrote; nobody else could read it."""
    mine = metadata is not None and metadata.get("provider") == identity
    return metadata if mine else None


def hosted_in(
    parts: Sequence[Part], *, identity: str, told: set[str]
) -> dict[int, Hosted | str]:
    """What becomes of the parts at these places; those left out are dropped.

    `told` holds the ids of earlier messages, and gets those of this one.
    """
    if not any(isinstance(p, ToolResultPart) and p.provider_executed for p in parts):
        return {}
    calls = {
        at: call
        for at, part in enumerate(parts)
        if isinstance(part, ToolCallPart) and (call := _call(part, identity))
    }
    kept: dict[int, Hosted | str] = {}
    waiting: dict[str, int] = {}
    for at, part in enumerate(parts):
        if (call := calls.get(at)) and call.id not in told:
            waiting.setdefault(call.id, at)
        if not isinstance(part, ToolResultPart):
            continue
        result = _result(part, identity)
        if result is None or result.id in told:
            continue
        begun = waiting.pop(result.id, None)
        if begun is None:
            if text := _as_text(result.result):
                kept[at] = text
            continue
        kept[begun], kept[at] = calls[begun], result
        told.add(result.id)
    return kept


def _call(part: ToolCallPart, identity: str) -> HostedCall | None:
    metadata = own(part.provider_metadata, identity)
    if not part.provider_executed or part.tool_name != WEB_SEARCH or metadata is None:
        return None
    if not isinstance(part.args, dict):
        return None
    return HostedCall(_id(part, metadata), part.tool_name, part.args, metadata)


def _result(part: ToolResultPart, identity: str) -> HostedResult | None:
    metadata = own(part.provider_metadata, identity)
    if not part.provider_executed or part.tool_name != WEB_SEARCH or metadata is None:
        return None
    if not isinstance(part.result, dict | list):
        return None
    return HostedResult(_id(part, metadata), part.tool_name, part.result, metadata)


def _id(part: ToolCallPart | ToolResultPart, metadata: Metadata) -> str:
    """The vendor's id; the part's may have been shortened."""
    wanted = metadata.get("id")
    return wanted if isinstance(wanted, str) and wanted else part.tool_call_id


def _as_text(result: JsonValue) -> str:
    """The pages that a search found, for a model that cannot be shown the search."""
    pages = result if isinstance(result, list) else []
    lines = [
        f"- {clean(str(page.get('title') or ''))} {clean(url)}".replace("-  ", "- ")
        for page in pages
        if isinstance(page, dict) and isinstance(url := page.get("url"), str)
    ]
    return "\n".join(["Found on the web:", *lines]) if lines else ""
