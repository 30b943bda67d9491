"""Text that every vendor takes: no NUL, no half of a character, nothing blank.

Logs of old may hold what tools or clients once let pass; it is repaired whenever it is
read. The common case costs a scan and no copy.
"""

from __future__ import annotations

import re

from pydantic import JsonValue

from service import wire

REPLACEMENT = "\ufffd"

_FENCE = re.compile(r"`{3,}")


def clean(text: str) -> str:
    """The text, with what no vendor takes replaced."""
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def clean_json(value: JsonValue) -> JsonValue:
    """The same for every text within a JSON value."""
    match value:
        case str():
            return clean(value)
        case list():
            return [clean_json(item) for item in value]
        case dict():
            return {clean(name): clean_json(item) for name, item in value.items()}
    return value


def told(value: JsonValue, *, is_error: bool = False) -> str:
    """A result as text: text as it is, else JSON; of an error only what it says."""
    if is_error and isinstance(value, dict):
        value = value.get("error", value)
    if isinstance(value, str):
        return clean(value) if value.strip() else "{}"
    return "{}" if value is None else wire.dumps(clean_json(value)).decode()


def fenced(text: str) -> str:
    """The text between fences that it cannot close."""
    longest = max(map(len, _FENCE.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{text}\n{fence}"
