"""Items of the Responses API, as it insists on having them back.

A thought goes back with the item that it led to right after it, or neither of them by
its id; no id is told twice. `after` in an item's metadata names the thought before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from service.providers.hosted import HostedCall, HostedResult
from service.providers.provider import Metadata
from service.providers.turns import Call, Reasoning, Said, Text


class Linked:
    """The items of one prompt."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def told(self, parts: Sequence[Said]) -> list[Said]:
        """The parts of a turn that hold together; what does not goes as plain words."""
        told: list[Said] = []
        gone: set[str] = set()
        for part in _leading_on(parts):
            here = _id(part)
            if here is None or isinstance(part, HostedResult):
                if here not in gone:
                    told.append(part)
                continue
            last = told[-1] if told else None
            if self._holds(part, last):
                told.append(part)
                self._told.add(here)
            elif isinstance(part, Text | Call):
                told.append(replace(part, metadata=_nameless(part.metadata)))
            else:
                gone.add(here)
        return told

    def _holds(self, part: Said, last: Said | None) -> bool:
        """Whether it may be told by its id after that other."""
        here, after = _id(part), _key(part, "after")
        if isinstance(part, Reasoning) and not (
            part.metadata.get("signature") or part.metadata.get("details")
        ):
            # only a vendor that keeps answers could find it by its id
            return False
        if after is not None and not (
            isinstance(last, Reasoning) and _id(last) == after
        ):
            return False
        # several texts may be one item
        same = isinstance(part, Text) and isinstance(last, Text) and _id(last) == here
        return same or here not in self._told


def _leading_on(parts: Sequence[Said]) -> Iterable[Said]:
    """The parts, without thoughts that the next part does not come of."""
    kept: list[Said] = []
    for part in reversed(parts):
        if isinstance(part, Reasoning):
            then = _key(kept[-1], "after") if kept else None
            if then is None or then != _id(part):
                continue
        kept.append(part)
    return reversed(kept)


def _id(part: Said) -> str | None:
    if isinstance(part, HostedCall | HostedResult):
        return part.id
    return _key(part, "id")


def _key(part: Said, key: str) -> str | None:
    value = (part.metadata or {}).get(key)
    return value if isinstance(value, str) and value else None


def _nameless(metadata: Metadata | None) -> Metadata | None:
    kept = {k: v for k, v in (metadata or {}).items() if k not in ("id", "after")}
    return kept if len(kept) > 1 else None
