"""Where a client is in a list of chats. The text is opaque to clients."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service import wire
from service.errors import Rejection

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class PinCursor(NamedTuple):
    """After this pin; without values before every chat."""

    key: str = ""
    id: UUID = UUID(int=0)

    def __str__(self) -> str:
        return _encode(self.key, self.id)


class ChatCursor(NamedTuple):
    """After this chat, which is no pin; without values before all of those."""

    updated_at: datetime = datetime.max.replace(tzinfo=UTC)
    id: UUID = UUID(int=2**128 - 1)

    def __str__(self) -> str:
        return _encode((self.updated_at - _EPOCH) // _MICROSECOND, self.id)


def parse_cursor(text: str) -> PinCursor | ChatCursor:
    """Read a cursor back; raises Rejection `invalid-cursor`."""
    try:
        raw = base64.b64decode(text.encode("ascii"), b"-_", validate=True)
        place, chat_id = wire.loads(raw)
        if isinstance(place, str):
            if "\0" in place:
                raise ValueError("PostgreSQL has no such text")
            return PinCursor(place, UUID(chat_id))
        return ChatCursor(_EPOCH + place * _MICROSECOND, UUID(chat_id))
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise Rejection(
            "invalid-cursor", "cursor is not one that a list of chats gave"
        ) from error


def _encode(place: str | int, chat_id: UUID) -> str:
    return base64.urlsafe_b64encode(wire.dumps([place, chat_id])).decode()
