"""Arrays in Postgres's binary form, built by joining elements that are encoded once.

A batch of 500 events is twelve arrays. Escaping them into array literals costs both
sides more than the append itself; a binary array is a header and length-prefixed
elements, so what one request contributes is encoded while it waits in the queue.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from psycopg import pq
from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper

NULL = struct.pack(">i", -1)
"""An element that is NULL."""

_LENGTH = struct.Struct(">i")
_INT = struct.Struct(">ii")
_SMALLINT = struct.Struct(">ih")
_HEADER = struct.Struct(">iiIii")
_EMPTY = struct.Struct(">iiI")

_JSONB_FORMAT = b"\x01"
"""Binary jsonb is a format number, so far always 1, and the JSON text."""


class Packed:
    """One array parameter of a query; its class says the type of its elements."""

    __slots__ = ("elements",)
    element_oid: ClassVar[int]
    array_oid: ClassVar[int]

    def __init__(self, elements: Sequence[bytes]) -> None:
        self.elements = elements


class ByteaArray(Packed):
    """bytea[]; oids of built-in types are fixed in Postgres for ever."""

    element_oid, array_oid = 17, 1001


class SmallintArray(Packed):
    """smallint[]"""

    element_oid, array_oid = 21, 1005


class IntArray(Packed):
    """int[]"""

    element_oid, array_oid = 23, 1007


class TextArray(Packed):
    """text[]"""

    element_oid, array_oid = 25, 1009


class UuidArray(Packed):
    """uuid[]"""

    element_oid, array_oid = 2950, 2951


class JsonbArray(Packed):
    """jsonb[]"""

    element_oid, array_oid = 3802, 3807


class PackedDumper(Dumper):
    """Hands arrays to psycopg, each with the oid of its class."""

    format = pq.Format.BINARY

    def __init__(self, cls: type[Packed], context: AdaptContext | None = None) -> None:
        super().__init__(cls, context)
        self.oid = cls.array_oid

    def dump(self, obj: Packed) -> bytes:
        """A header (dimensions, nulls, oid, length, lower bound) and the elements."""
        if not obj.elements:
            return _EMPTY.pack(0, 0, obj.element_oid)
        header = _HEADER.pack(1, 0, obj.element_oid, len(obj.elements), 1)
        return header + b"".join(obj.elements)


def pack_bytes(value: bytes) -> bytes:
    """An element of bytea[], or of text[] when `value` is UTF-8."""
    return _LENGTH.pack(len(value)) + value


def pack_json(value: bytes) -> bytes:
    """An element of jsonb[]; `value` is JSON text."""
    return _LENGTH.pack(len(value) + 1) + _JSONB_FORMAT + value


def pack_int(value: int) -> bytes:
    """An element of int[]."""
    return _INT.pack(4, value)


def pack_smallint(value: int) -> bytes:
    """An element of smallint[]."""
    return _SMALLINT.pack(2, value)


def pack_uuid(value: UUID) -> bytes:
    """An element of uuid[]."""
    return b"\x00\x00\x00\x10" + value.bytes
