"""The tool `clock`: what time it is, here or elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from pydantic import JsonValue

from service.providers.provider import ToolSpec
from service.tools.registry import Tool, ToolError

SPEC = ToolSpec(
    name="clock",
    description="Tell the current date and time.",
    parameters={
        "type": "object",
        "properties": {
            "timezone": {
                "type": "string",
                "description": "IANA name such as Europe/Madrid; UTC when left out.",
            }
        },
        "additionalProperties": False,
    },
)


def clock(now: Callable[[], datetime]) -> Tool:
    """The tool, reading this clock."""

    async def run(args: Mapping[str, JsonValue]) -> JsonValue:
        name = args.get("timezone", "UTC")
        if not isinstance(name, str):
            raise ToolError("invalid parameters: timezone must be a string")
        told = now().astimezone(_zone(name)).isoformat(timespec="seconds")
        return {"now": told, "timezone": name}

    return Tool(SPEC, run)


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        # needs no time zone files, which a small machine may not have
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        detail = f"unknown time zone {name!r}; give an IANA name or UTC"
        raise ToolError(detail) from error
