"""How many tokens a model's context holds, as its vendor says somewhere in passing.

Vendors name that number in many ways, in metadata and in the sentences with which they
refuse a prompt. Of several candidates the largest holds: the others are of parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from pydantic import JsonValue

_WHOLE_KEYS = frozenset(
    {
        "contextlimit",
        "contextwindow",
        "contextlength",
        "maxcontext",
        "maxcontexttokens",
        "maxinputtokens",
        "maxinputtoken",
        "inputtokenlimit",
    }
)

_COUNT = r"(\d[\d,_]{0,15})"

_PHRASES = tuple(
    re.compile(phrase.replace("N", _COUNT), re.IGNORECASE)
    for phrase in (
        r"maximum (?:context|prompt|model) length (?:is|of) N",
        r"N maximum context length",
        r"prompt is too long: \d+ tokens > N maximum",
        r"exceed context limit: \d+ \+ \d+ > N",
        r"available context size \(N(?: tokens)?\)",
        r"maximum number of (?:input )?tokens allowed \(N\)",
        r"context window (?:size )?(?:is|of) N tokens",
    )
)
"""How vendors and gateways word it; N is the number."""

LONGEST_SENTENCE = 4096
"""Characters of a message that are read: the number is in its first sentence."""

MOST = 2**31 - 1
"""Tokens; a larger number is some other thing, and clients have 32 bits for it."""


def find_context_limit(metadata: JsonValue) -> int | None:
    """The largest number under a key that means the size of a context."""
    found = [
        limit
        for key, value in _members(metadata)
        if is_context_limit_key(key) and (limit := _number(value)) is not None
    ]
    return max(found, default=None)


def context_limit_in(message: str) -> int | None:
    """The number in a sentence that refuses a prompt for its length."""
    read = message[:LONGEST_SENTENCE]
    said = (match[1] for phrase in _PHRASES for match in phrase.finditer(read))
    limits = (_number(count.replace(",", "").replace("_", "")) for count in said)
    return max((limit for limit in limits if limit is not None), default=None)


def is_context_limit_key(key: str) -> bool:
    """Whether a member of this name says how much a context holds."""
    if normalised(key) in _WHOLE_KEYS:
        return True
    has = frozenset(words(key))
    if "context" not in has:
        return False
    if "limit" in has:
        return True
    if "window" in has:
        return bool(has & {"size", "max"})
    if "length" in has:
        return "max" in has
    return bool(has & {"token", "tokens"}) and "max" in has


def normalised(key: str) -> str:
    """ASCII letters and digits alone, in lower case."""
    return "".join(char for char in key if char.isascii() and char.isalnum()).lower()


def words(key: str) -> list[str]:
    """The words of a name in any case; a run of capitals is one."""
    spaced = "".join(_spaced(key))
    return spaced.lower().split()


def _spaced(key: str) -> Iterator[str]:
    """The letters, with a space wherever a word ends."""
    for before, char in pairwise(f" {key}"):
        if not char.isalpha():
            yield " "
            continue
        if before.islower() and char.isupper():
            yield " "
        yield char


def _members(root: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    """Every member of every object. No recursion: who knows how deep it is."""
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _number(value: JsonValue) -> int | None:
    """A whole number above 0, also one that is written as a text or with a point."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        text = value.strip()
        # longer ones are too large anyway, and slow to read
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    if isinstance(value, float):
        value = int(value) if value.is_integer() else 0
    return value if isinstance(value, int) and 0 < value <= MOST else None
