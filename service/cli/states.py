"""A chat at two versions, compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from service.domain.chat.public import public_chat, public_message, public_queued
from service.domain.chat.state import ChatState
from service.domain.chat.transitions import classify
from service.domain.ids import CHAT
from service.eventstore.fold import NOTHING, after_recorded
from service.eventstore.records import RecordedEvent

ABSENT = object()
"""Not there at all, which null is not."""


class Difference(NamedTuple):
    """A place in the state, and what is there before and after (or ABSENT)."""

    path: str
    before: Any
    after: Any

    def plain(self) -> dict[str, Any]:
        """As JSON; what is absent is left out."""
        sides = {"before": self.before, "after": self.after}
        there = {side: value for side, value in sides.items() if value is not ABSENT}
        return {"path": self.path, **there}


def border_after(events: Sequence[RecordedEvent], version: int) -> int:
    """The version, or the end of the append that it is in: states are at borders."""
    if version == 0:
        return 0
    return events[version - 1].append_last


def state_at(
    chat_id: UUID, events: Sequence[RecordedEvent], version: int
) -> dict[str, Any]:
    """The whole fold at a version, as plain JSON; empty at 0.

    Of a stream that is no chat's: the row as its last event tells it.
    """
    if events[:version] and events[0].stream.category != CHAT:
        return _row(events[version - 1].data or {})
    state = after_recorded(NOTHING, events[:version]).loaded.state
    return _plain(chat_id, state) if state.exists else {}


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """Every place that differs, in the order of the newer state."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            inner = f"{path}.{key}" if path else str(key)
            yield from differences(
                before.get(key, ABSENT), after.get(key, ABSENT), inner
            )
    elif before != after:
        yield Difference(path, before, after)


def _row(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a change of the platform left; empty when the row is gone, or erased."""
    row = data.get("row")
    return row if isinstance(row, dict) and data.get("op") != "delete" else {}


def _plain(chat_id: UUID, state: ChatState) -> dict[str, Any]:
    holder, episode = state.holder, state.episode
    return {
        **public_chat(chat_id, state),
        "execution_state": classify(state).value,
        "turn_id": state.turn_id,
        "epoch": state.epoch,
        "attempt": state.attempt,
        "term": state.term,
        "holder": holder and holder.worker,
        "episode": episode and f"{episode.kind} {episode.epoch}.{episode.attempt}",
        "messages": {str(m.id): public_message(chat_id, m) for m in state.messages},
        "queue": {str(m.id): public_queued(chat_id, m) for m in state.queue},
    }
