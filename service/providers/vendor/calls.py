"""Calls while the model writes them: whole when their arguments are, in their order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from service import wire
from service.providers.arguments import parse_args
from service.providers.provider import (
    Delta,
    Metadata,
    ToolCall,
    ToolInputDelta,
    ToolInputStart,
)


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    fragments: list[str] = field(default_factory=list)
    ended: bool = False
    metadata: Metadata | None = None

    def args(self) -> JsonValue:
        """The arguments as JSON; None while they are none."""
        return parse_args("".join(self.fragments))

    def whole(self) -> ToolCall:
        return ToolCall(
            self.id, self.name, self.args(), provider_metadata=self.metadata
        )


class Calls:
    """The calls of one stream, by the places of their parts."""

    def __init__(self) -> None:
        self._calls: dict[int, _Call] = {}
        self._waiting: list[_Call] = []
        """Calls that were begun and not yet passed on."""

    def __bool__(self) -> bool:
        return bool(self._calls)

    def begin(
        self, index: int, call_id: str, name: str, args: str | Mapping[str, Any] | None
    ) -> Iterator[Delta]:
        """A call begins, perhaps with all its arguments."""
        call = self._calls[index] = _Call(call_id, name)
        self._waiting.append(call)
        yield ToolInputStart(call.id, call.name)
        yield from self.more(index, args)

    def more(self, index: int, args: str | Mapping[str, Any] | None) -> Iterator[Delta]:
        """More of its arguments."""
        call = self._calls.get(index)
        if call is None or not args:
            return
        fragment = args if isinstance(args, str) else wire.dumps(args).decode()
        call.fragments.append(fragment)
        yield ToolInputDelta(call.id, call.name, fragment)

    def end(self, index: int, metadata: Metadata | None) -> Iterator[Delta]:
        """Its part is over; a call that is whole waits for those before it."""
        call = self._calls.get(index)
        if call is None:
            return
        call.ended, call.metadata = True, metadata
        while self._waiting and self._waiting[0].ended:
            if self._waiting[0].args() is None:
                return
            yield self._waiting.pop(0).whole()

    def finish(self) -> Iterator[Delta]:
        """Calls that wait, whatever became of their arguments."""
        for call in self._waiting:
            # tools without parameters are called with nothing at all
            if not "".join(call.fragments).strip():
                call.fragments.append("{}")
            yield call.whole()
        self._waiting = []
