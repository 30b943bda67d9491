"""Where a follower of a chat is: the `id` of a frame, opaque to clients.

    V             event V whole
    V+k           and the first k frames of event V+1
    V/E.A.S       and part S of episode (epoch E, attempt A)
    V+k/E.A.S     both
    ...~hhhhhhhh  the first 8 hex digits of V's digest; another digest means that the
                  client saw another history

`0` is before everything. A bare number is accepted, so that a person may type one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from service.live.read import PartCursor

DIGEST_CHARS = 8

_CURSOR = re.compile(
    r"(?P<v>\d{1,10})(?:\+(?P<k>\d{1,4}))?"
    r"(?:/(?P<e>\d{1,10})\.(?P<a>\d{1,10})\.(?P<s>\d{1,10}))?"
    r"(?:~(?P<d>[0-9a-f]{8}))?",
    re.ASCII,
)
_LARGEST = 2**31 - 1
"""Versions, epochs, attempts and seqs are int4 in the database."""


class MalformedCursor(ValueError):
    """The text is no cursor at all; the client must mend it (400)."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a chat's stream of frames."""

    version: int
    frames: int = 0
    """Frames of event `version + 1` that were seen too."""
    part: PartCursor | None = None
    digest: str | None = None

    def __str__(self) -> str:
        return format_cursor(self.version, self.frames, self.part, self.digest)


def parse_cursor(text: str) -> Cursor:
    """Read a cursor; raises MalformedCursor."""
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise MalformedCursor("a cursor is the id of a frame, 0, or now")
    numbers = {
        name: int(match[name]) if match[name] is not None else 0 for name in "vkeas"
    }
    if max(numbers.values()) > _LARGEST:
        raise MalformedCursor("a number in the cursor is too large")
    part = None
    if match["e"] is not None:
        part = PartCursor(numbers["e"], numbers["a"], numbers["s"])
    return Cursor(numbers["v"], numbers["k"], part, match["d"])


def format_cursor(
    version: int, frames: int, part: PartCursor | None, digest: str | None
) -> str:
    """The text that `parse_cursor` reads back."""
    text = f"{version}+{frames}" if frames else str(version)
    if part is not None:
        text += f"/{part.epoch}.{part.attempt}.{part.seq}"
    return f"{text}~{digest}" if digest else text


def short_digest(digest: bytes) -> str:
    """What a cursor keeps of an event's digest."""
    return digest.hex()[:DIGEST_CHARS]
