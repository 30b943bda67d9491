"""The arguments of a call, from the JSON text that a model wrote.

Strict: a name that comes twice, or anything after the value, means that the model did
not write what it meant; such arguments are none.
"""

from __future__ import annotations

import re

from pydantic import JsonValue

from service import wire

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?')
"""In valid JSON, a string that a colon follows is a name."""


def parse_args(text: str) -> JsonValue | None:
    """The value; None when the text is no JSON, names one thing twice, or goes on."""
    try:
        value: JsonValue = wire.loads(text)
    except (wire.JSONDecodeError, UnicodeError):
        return None
    if isinstance(value, dict | list) and _names_in(text) != _names_of(value):
        return None
    return value


def _names_in(text: str) -> int:
    return sum(match[1] is not None for match in _STRING.finditer(text))


def _names_of(value: JsonValue) -> int:
    """Names in the value and in all that it holds; deep ones do not recurse."""
    count, left = 0, [value]
    while left:
        match left.pop():
            case dict() as item:
                count += len(item)
                left.extend(item.values())
            case list() as items:
                left.extend(items)
    return count
