"""JSON on every wire: the only importer of orjson.

`dumps` writes compact UTF-8 with sorted-as-given keys; datetimes with UTC `Z`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

JSONDecodeError = orjson.JSONDecodeError

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


SPARE_LEVELS = 16
"""Objects and arrays that the log, prompts and frames put around a value; the encoder
takes 254 in all, and a value that only just fits could never be written."""


def dumps(value: object, *, default: Callable[[Any], Any] | None = None) -> bytes:
    """Encode to one line of JSON."""
    return orjson.dumps(value, default=default, option=_OPTIONS)


def loads(data: bytes | bytearray | memoryview | str) -> Any:
    """Decode; raises JSONDecodeError (a ValueError) on anything that is not JSON."""
    return orjson.loads(data)


def dumps_inner(value: object) -> bytes:
    """Encode what will stand within something larger; TypeError if that is too deep."""
    around = value
    for _ in range(SPARE_LEVELS):
        around = [around]
    return dumps(around)[SPARE_LEVELS:-SPARE_LEVELS]
