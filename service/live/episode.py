"""What one attempt has said: deltas that wait, and rows that have their place for good.

A row gets its `seq` when a flush is built, contiguous from 1, and never changes after
that: it may be sent again, row for row. Until then deltas of one part become one row.
All rows are kept while the episode is open, for the table may lose them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service import wire

EPISODE_BYTES = 1024 * 1024
"""A preview larger than this is nobody's reading; the commit delivers the message."""

ROW_BYTES = 16 * 1024
"""Deltas are joined up to here, so that an outage does not end in one huge frame."""


class Episode:
    """Live parts of (chat, epoch, attempt), at most `capacity` bytes of their JSON."""

    def __init__(
        self, chat_id: UUID, epoch: int, attempt: int, *, capacity: int = EPISODE_BYTES
    ) -> None:
        self.chat_id = chat_id
        self.epoch = epoch
        self.attempt = attempt
        self.dropped = 0
        """Parts that found no room; once one did not, none does: no hole inside."""
        self._capacity = capacity
        self._bytes = 0
        self._waiting: list[_Row] = []
        self._rows: list[str] = []
        self._acknowledged = 0

    @property
    def size(self) -> int:
        """Bytes of JSON that were taken."""
        return self._bytes

    @property
    def clean(self) -> bool:
        """Whether everything that was said is in the table, as far as we know."""
        return not self._waiting and self._acknowledged == len(self._rows)

    def add(self, role: str, part: Mapping[str, Any]) -> None:
        """Take a part, or count it as dropped."""
        row = self._waiting[-1] if self._waiting else None
        delta = _delta(part)
        if row is None or delta is None or not row.continues(role, part):
            self._start_row(role, part)
        elif self._fits(size := len(wire.dumps(delta))):
            row.extend(delta, size)

    def _start_row(self, role: str, part: Mapping[str, Any]) -> None:
        size = len(wire.dumps(part))
        if self._fits(size):
            self._waiting.append(_Row(role, part, size))

    def _fits(self, size: int) -> bool:
        if self.dropped or self._bytes + size > self._capacity:
            self.dropped += 1
            return False
        self._bytes += size
        return True

    def unacknowledged(self, *, max_bytes: int) -> tuple[int, list[str]]:
        """(seq of the first, rows) that the table may lack; at least one if any does.

        What waited gets its seq now.
        """
        self._rows.extend(row.encoded() for row in self._waiting)
        self._waiting.clear()
        first = self._acknowledged
        last, size = first, 0
        while last < len(self._rows) and (last == first or size < max_bytes):
            size += len(self._rows[last])
            last += 1
        return first + 1, self._rows[first:last]

    def acknowledge(self, first: int, count: int) -> None:
        """`count` rows from seq `first` on are in the table.

        Ignored when they no longer follow what is: a new start came between.
        """
        if first == self._acknowledged + 1:
            self._acknowledged += count

    def start_over(self) -> None:
        """The table may have lost everything: all rows are to be sent again."""
        self._acknowledged = 0


class _Row:
    """A row in the making: a part, and deltas of the same part that came after it."""

    __slots__ = ("_fragments", "_part", "_role", "_size")

    def __init__(self, role: str, part: Mapping[str, Any], size: int) -> None:
        self._role = role
        self._part = part
        self._size = size
        self._fragments = [_delta(part) or ""]

    def continues(self, role: str, part: Mapping[str, Any]) -> bool:
        return (
            role == self._role
            and self._size < ROW_BYTES
            and _identity(part) == _identity(self._part)
        )

    def extend(self, delta: str, size: int) -> None:
        self._fragments.append(delta)
        self._size += size

    def encoded(self) -> str:
        part = self._part
        if len(self._fragments) > 1:
            part = {**part, _DELTA_FIELDS[part["type"]]: "".join(self._fragments)}
        return wire.dumps({"role": self._role, "part": part}).decode()


_DELTA_FIELDS = {"text": "text", "reasoning": "text", "tool-call": "args_delta"}


def _delta(part: Mapping[str, Any]) -> str | None:
    """The text that grows, of a part that can grow."""
    field = _DELTA_FIELDS.get(part["type"])
    delta = part.get(field) if field is not None else None
    return delta if isinstance(delta, str) else None


def _identity(part: Mapping[str, Any]) -> tuple[Any, ...]:
    """Equal for deltas of one part: same kind, same call, same beginning."""
    grows = "args_delta" in part
    return part["type"], grows, part.get("tool_call_id"), part.get("created_at")
