"""What a vendor wants back unchanged, marked with who wants it."""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError

from service.providers.provider import Metadata

_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)


def mark(identity: str, **found: Any) -> Metadata | None:
    """The metadata; None where nothing is worth keeping, or it is no JSON."""
    kept = {name: value for name, value in found.items() if value}
    made = plain({"provider": identity, **kept}) if kept else None
    return made if isinstance(made, dict) else None


def plain(value: object) -> JsonValue:
    """The value where it is JSON, else None."""
    try:
        return _JSON.validate_python(value)
    except ValidationError:
        return None
