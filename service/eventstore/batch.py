"""Check a request's text and encode it once; join encoded requests into one batch.

Whatever Postgres could refuse for its text alone (NUL, lone surrogates) is refused
here, before the request meets its neighbours in a batch.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from service import wire
from service.errors import BadEvent
from service.eventstore import packing
from service.eventstore.packing import (
    ByteaArray,
    IntArray,
    JsonbArray,
    Packed,
    SmallintArray,
    TextArray,
    UuidArray,
)
from service.eventstore.records import (
    SLICE,
    AppendRequest,
    NewEvent,
    StreamAppend,
    slices,
)

_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""The escape itself, not a backslash that is followed by the letters u0000."""

Columns = tuple[bytes, ...]

STREAM_ARRAYS: tuple[type[Packed], ...] = (
    TextArray,
    UuidArray,
    IntArray,
    ByteaArray,
    TextArray,
    ByteaArray,
)
"""category, stream_id, expected, expected_digest, key, request_hash."""

EVENT_ARRAYS: tuple[type[Packed], ...] = (
    TextArray,
    SmallintArray,
    JsonbArray,
    JsonbArray,
)
"""type, schema_version, data, metadata."""


@dataclass(slots=True)
class EncodedStream:
    """One (request, stream) of a batch, and its events, as elements of arrays."""

    columns: Columns
    events: list[Columns]


@dataclass(slots=True)
class EncodedRequest:
    """A request that has been checked and is ready to be joined into a batch."""

    request: AppendRequest
    streams: list[EncodedStream]
    events: int
    size: int
    """Bytes of its events' JSON."""


def encode_request(request: AppendRequest) -> EncodedRequest:
    """Raises BadEvent for what Postgres cannot hold, and for an empty request."""
    head = _Head(request)
    streams = [
        EncodedStream(head.columns(append), _events(append.events))
        for append in request.streams
    ]
    return _encoded(request, streams)


async def encode_long_request(request: AppendRequest) -> EncodedRequest:
    """The same; the loop gets its turn after each slice of events."""
    head = _Head(request)
    streams = []
    for append in request.streams:
        events: list[Columns] = []
        for part in slices(append.events):
            events += _events(part)
            await asyncio.sleep(0)
        streams.append(EncodedStream(head.columns(append), events))
    return _encoded(request, streams)


def is_long(request: AppendRequest) -> bool:
    """Whether encoding it at once would keep the loop waiting."""
    return sum(len(append.events) for append in request.streams) > SLICE


def parameters(batch: Sequence[EncodedRequest]) -> list[Packed]:
    """The twelve arrays of es.append, in its order."""
    requests: list[bytes] = []
    streams: list[Columns] = []
    event_streams: list[bytes] = []
    events: list[Columns] = []
    for number, encoded in enumerate(batch, 1):
        for stream in encoded.streams:
            requests.append(packing.pack_int(number))
            streams.append(stream.columns)
            events += stream.events
            event_streams += [packing.pack_int(len(streams))] * len(stream.events)
    return [
        IntArray(requests),
        *_arrays(STREAM_ARRAYS, streams),
        IntArray(event_streams),
        *_arrays(EVENT_ARRAYS, events),
    ]


def _arrays(types: Sequence[type[Packed]], rows: Iterable[Columns]) -> Iterable[Packed]:
    columns = zip(*rows, strict=True)
    return (array(column) for array, column in zip(types, columns, strict=True))


def _check_streams(request: AppendRequest) -> None:
    streams = request.streams
    if not streams or not all(append.events for append in streams):
        raise BadEvent("an append needs a stream, and each stream an event")
    if len(streams) > 1:
        ids: set[UUID] = {append.stream.stream_id for append in streams}
        if len(ids) < len(streams):
            raise BadEvent("a request names a stream twice; put its events together")


class _Head:
    """What a request says of each of its streams."""

    def __init__(self, request: AppendRequest) -> None:
        _check_streams(request)
        self._key = _text(request.key, "the key")
        self._request_hash = packing.pack_bytes(request.request_hash)

    def columns(self, append: StreamAppend) -> Columns:
        digest = append.expected_digest
        return (
            _text(append.stream.category, "the category"),
            packing.pack_uuid(append.stream.stream_id),
            _number(packing.pack_int, append.expected),
            packing.NULL if digest is None else packing.pack_bytes(digest),
            self._key,
            self._request_hash,
        )


def _encoded(request: AppendRequest, streams: list[EncodedStream]) -> EncodedRequest:
    count = size = 0
    for stream in streams:
        count += len(stream.events)
        size += sum(len(data) + len(meta) for _, _, data, meta in stream.events)
    return EncodedRequest(request, streams, count, size)


def _events(events: Iterable[NewEvent]) -> list[Columns]:
    return [_event(event) for event in events]


def _event(event: NewEvent) -> Columns:
    return (
        _text(event.type, "the event type"),
        _number(packing.pack_smallint, event.schema_version),
        _json(event.data, event.type, "data"),
        _json(event.metadata, event.type, "metadata"),
    )


def _number(pack: Callable[[int], bytes], value: int) -> bytes:
    try:
        return pack(value)
    except struct.error as error:
        raise BadEvent(f"a version is out of range: {error}") from error


def _text(value: str, what: str) -> bytes:
    if "\0" in value:
        raise BadEvent(f"{what} contains NUL, which Postgres cannot store")
    try:
        return packing.pack_bytes(value.encode())
    except UnicodeEncodeError as error:
        raise BadEvent(f"{what} contains a lone surrogate") from error


def _json(value: object, event_type: str, what: str) -> bytes:
    try:
        encoded = wire.dumps(value)
    except TypeError as error:
        # orjson's only error: lone surrogates, depth, integers and types beyond JSON
        raise BadEvent(f"{what} of {event_type!r} is not JSON: {error}") from error
    if b"\\u0000" in encoded and _ESCAPED_NUL.search(encoded):
        raise BadEvent(f"{what} of {event_type!r} contains NUL")
    return packing.pack_json(encoded)
