"""Chats as the log must hold them, without a log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from service.domain.chat.evolve import fold
from service.domain.chat.state import ChatState
from service.domain.events.chat import ChatEvent
from service.errors import Rejection
from service.eventstore.handle import Chats, Handled

Planned = dict[UUID, list[ChatEvent]] | Rejection
"""What a request appends to which chat; the first one is that of its answer."""


@dataclass
class Told:
    """A chat of the model: its appends, in order."""

    appends: list[list[ChatEvent]] = field(default_factory=list)
    erased: bool = False

    @property
    def events(self) -> list[ChatEvent]:
        return [event for append in self.appends for event in append]

    @property
    def state(self) -> ChatState:
        return ChatState() if self.erased else fold(ChatState(), self.events)

    def border(self, version: int) -> int | None:
        """The border at a version, or after it; None for a version it never had."""
        end = 0
        for append in self.appends:
            end += len(append)
            if 1 <= version <= end:
                return end
        return None


@dataclass(frozen=True)
class Asked:
    """A request that was appended, to be asked again."""

    ask: Callable[[Chats, bytes], Awaitable[Handled]]
    chat_id: UUID
    events: tuple[tuple[int, ChatEvent], ...]
    request_hash: bytes


def together(decided: dict[UUID, Any]) -> Planned:
    """The first refusal, or all that was decided."""
    for decision in decided.values():
        if isinstance(decision, Rejection):
            return decision
    return decided
