"""How much of a tool's result the model gets: what its context can bear.

A result that is too long keeps its beginning and its end, around a note that says how
much is missing. Size is in bytes of UTF-8, as the model is told the result.
"""

from __future__ import annotations

from pydantic import JsonValue

from service import wire
from service.providers.texts import clean

UNKNOWN_BYTES = 65_536
"""For a model of which nobody knows how much it holds: small ones hold that."""

LEAST_BYTES = 16_384
"""However small the context is: less says nothing."""

NOTE_BYTES = 256
"""Room for the note; it takes less."""

NOTELESS_BYTES = 512
"""A budget so small has no room for a note beside the text."""


def budget(context_limit: int | None) -> int:
    """Bytes of one result. Three make a token, and three results fill a context."""
    if context_limit is None or context_limit <= 0:
        return UNKNOWN_BYTES
    return max(LEAST_BYTES, context_limit // 3 * 3)


def cap_result(
    result: JsonValue, *, context_limit: int | None
) -> tuple[JsonValue, bool]:
    """The result, and whether it was cut.

    JSON that was cut is none any more: it comes back as the text `output` of an object.
    """
    most = budget(context_limit)
    if isinstance(result, str):
        data = clean(result).encode()
        return _cut(data, most), len(data) > most
    whole = wire.dumps(result)
    if len(whole) <= most:
        return result, False
    return _wrapped(whole, "output", most), True


def cap_error(text: str, *, context_limit: int | None) -> tuple[JsonValue, bool]:
    """The same for what went wrong: an object whose `error` is the text."""
    text, most = clean(text), budget(context_limit)
    whole: JsonValue = {"error": text}
    if len(wire.dumps(whole)) <= most:
        return whole, False
    return _wrapped(text.encode(), "error", most), True


def _cut(data: bytes, most: int) -> str:
    """A text in so many bytes: two thirds of them its head, one third its tail."""
    if len(data) <= most:
        return data.decode()
    if most <= NOTELESS_BYTES:
        return _whole(data[:most])
    room = most - NOTE_BYTES
    kept = room * 2 // 3
    head, tail = _whole(data[:kept]), _whole(data[len(data) - (room - kept) :])
    missing = len(data) - len(head.encode()) - len(tail.encode())
    note = f"[{missing} bytes were cut out here; narrow the request to see them]"
    return f"{head}\n\n{note}\n\n{tail}"


def _wrapped(data: bytes, name: str, most: int) -> JsonValue:
    """An object of one text, in so many bytes with all the quotes that it takes."""
    share = most - len(wire.dumps({name: ""}))
    while True:
        wrapped: JsonValue = {name: _cut(data, share)}
        over = len(wire.dumps(wrapped)) - most
        if over <= 0:
            return wrapped
        # a byte less saves one at least, and six where all have to be escaped
        share -= max(1, over // 6)


def _whole(piece: bytes) -> str:
    """The whole characters of a piece that was cut anywhere."""
    return piece.decode(errors="ignore")
