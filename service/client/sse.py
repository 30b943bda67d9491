"""Server-sent events from bytes, as the WHATWG standard reads them.

Fed with pieces of any size, split anywhere, also within a character or a line end.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Block:
    """What stood between two blank lines.

    `id` is the last id that the stream has named up to here, not only in this block; a
    block without data has only moved it on.
    """

    event: str
    data: str | None
    id: str
    retry_ms: int | None


class SseParser:
    """Turns pieces of a stream into blocks. One per connection."""

    def __init__(self, *, last_id: str = "") -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._after_cr = False
        self._started = False
        self._id = last_id
        self._event = ""
        self._data: list[str] = []
        self._retry_ms: int | None = None
        self._touched = False

    def feed(self, piece: bytes) -> Iterator[Block]:
        """The blocks that this piece completes. What is not complete is kept."""
        for line in self._lines(self._decoder.decode(piece)):
            if line:
                self._field(line)
            elif self._touched:
                yield Block(
                    event=self._event or "message",
                    data="\n".join(self._data) if self._data else None,
                    id=self._id,
                    retry_ms=self._retry_ms,
                )
                self._clear()

    def _lines(self, text: str) -> Iterator[str]:
        """Lines end in LF, CR or CRLF; a CRLF may be split between two pieces."""
        if not self._started and text:
            self._started = True
            text = text.removeprefix("\ufeff")
        if self._after_cr and text:
            self._after_cr = False
            text = text.removeprefix("\n")
        text = self._rest + text
        if text.endswith("\r"):
            self._after_cr = True
        *lines, self._rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        yield from lines

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self._retry_ms = int(value)
            case _:
                return
        self._touched = True

    def _clear(self) -> None:
        self._event, self._data = "", []
        self._retry_ms, self._touched = None, False
