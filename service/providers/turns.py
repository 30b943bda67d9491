"""A prompt in the one shape that every vendor accepts: turns that alternate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from service.providers.files import Item
from service.providers.hosted import HostedCall, HostedResult
from service.providers.provider import Metadata

ID_LENGTH = 40
"""The shortest limit among the vendors."""

NAME_LENGTH = 64
"""The same for names of tools."""

_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Text:
    """What the model said; `metadata` is the vendor's own, if it wrote this text."""

    text: str
    metadata: Metadata | None = None


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What the model thought, exactly as it came: the vendor has signed it."""

    text: str
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Call:
    """A call that the assistant made; `metadata` is the vendor's own."""

    id: str
    name: str
    args: Mapping[str, JsonValue]
    metadata: Metadata | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to the call of that id."""

    id: str
    name: str
    text: str
    is_error: bool


Said = Text | Reasoning | Call | HostedCall | HostedResult


@dataclass(slots=True)
class UserTurn:
    """Results come before what people said: the items of each of their messages."""

    results: list[Result] = field(default_factory=list)
    said: list[tuple[Item, ...]] = field(default_factory=list)


@dataclass(slots=True)
class AssistantTurn:
    """Never empty, never ends in reasoning."""

    parts: list[Said] = field(default_factory=list)


Turn = UserTurn | AssistantTurn


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a vendor is asked. The first turn and the last are the user's."""

    system: Sequence[str]
    turns: Sequence[Turn]


class Ids:
    """Ids in characters that all vendors take, no two alike."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}

    def take(self, wanted: str) -> str:
        """The id that was wanted, with a number where it is taken already."""
        clean = _FOREIGN.sub("_", wanted)[:ID_LENGTH] or "call"
        made, number = clean, self._numbers.get(clean, 1)
        while made in self._taken:
            number += 1
            suffix = f"_{number}"
            made = clean[: ID_LENGTH - len(suffix)] + suffix
        self._numbers[clean] = number
        self._taken.add(made)
        return made


def tool_name(name: str) -> str:
    """The name of a tool in characters that all vendors take."""
    return _FOREIGN.sub("_", name)[:NAME_LENGTH] or "unknown"
