"""Where a raw feed or a watcher is: an id that says nothing to its client.

A number (a position, a version, a place in an owner's feed) and the first bytes of the
digest of the event there, in base64url. Another digest there is another history: the
client has to start over. `0` is before everything.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from dataclasses import dataclass
from typing import Literal

from service.stream.cursor import MalformedCursor

Kind = Literal["c", "l", "w"]
"""c: a chat's events, l: the whole log, w: an owner's chats."""

CHECK_BYTES = 4
"""As much of the digest as a chat's cursors keep."""

_SHAPE = struct.Struct(f">cQ{CHECK_BYTES}s")
_LARGEST = 2**63 - 1
_TEXT = re.compile(r"[A-Za-z0-9_-]{18}")


@dataclass(frozen=True, slots=True)
class Place:
    """After the event with this number; 0 is before the first."""

    number: int = 0
    check: bytes = bytes(CHECK_BYTES)

    def is_at(self, number: int, digest: bytes) -> bool:
        """Whether it is this event that the place is after."""
        return self == place_of(number, digest)


START = Place()


def place_of(number: int, digest: bytes) -> Place:
    """The place after an event."""
    return Place(number, digest[:CHECK_BYTES])


def format_place(kind: Kind, place: Place) -> str:
    """The id that `parse_place` reads back."""
    packed = _SHAPE.pack(kind.encode(), place.number, place.check)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def parse_place(kind: Kind, text: str) -> Place:
    """Read an id of a feed of this kind; raises MalformedCursor."""
    if text == "0":
        return START
    if _TEXT.fullmatch(text) is None:
        raise MalformedCursor("a cursor is an id that this feed gave, or 0")
    try:
        given, number, check = _SHAPE.unpack(base64.urlsafe_b64decode(text + "=="))
    except (binascii.Error, struct.error) as error:
        raise MalformedCursor("a cursor is an id that this feed gave, or 0") from error
    if given != kind.encode() or number > _LARGEST:
        raise MalformedCursor("this id is of another feed")
    return Place(number, check)
