"""The chain of digests, recomputed here without the database's help."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

from service.db.pool import Connection
from tests.sql.batch import append, rows

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

EVENTS = """
SELECT category, stream_id::text, version, append_last, type, schema_version,
  recorded_at, data, metadata, payload_hash, digest
FROM es.events ORDER BY version
"""

DATA: dict[str, Any] = {
    "text": 'tab \t quote " back \\ bell \x07 \u00fc \U0001f600 /',
    "z": [1, -5, 2**60, 0.5, True, False, None, []],
    "aa": {"longer": {}, "b": "", "\u00e9": 1},
}

ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}


async def test_digests_are_what_anybody_can_compute(service: Connection) -> None:
    """sha256 over the text of a JSON array, chained from nothing."""
    stream = uuid4()
    await append(service, stream, "created", data=DATA, metadata={"id": "x"})
    row = await append(service, stream, "said", "said", data=DATA)
    digest = b""
    for *envelope, recorded_at, data, metadata, payload_hash, stored in await rows(
        service, EVENTS
    ):
        microseconds = (recorded_at - EPOCH) // timedelta(microseconds=1)
        text = jsonb_text([*envelope, microseconds, data, metadata])
        assert payload_hash == sha256(text.encode()).digest()
        digest = sha256(digest + payload_hash).digest()
        assert stored == digest
    assert row.digest == digest


async def test_digest_holds_the_append_border(service: Connection) -> None:
    """Two events at once and one after the other are different histories."""
    one, two = uuid4(), uuid4()
    at_once = await append(service, one, "a", "b")
    await append(service, two, "a")
    apart = await append(service, two, "b")
    assert at_once.digest != apart.digest


def jsonb_text(value: Any) -> str:
    """What PostgreSQL prints for a jsonb value."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            return '"' + "".join(map(_character, value)) + '"'
        case list():
            return "[" + ", ".join(map(jsonb_text, value)) + "]"
        case dict():
            pairs = sorted(value.items(), key=lambda p: (len(p[0].encode()), p[0]))
            return (
                "{"
                + ", ".join(
                    f"{jsonb_text(key)}: {jsonb_text(item)}" for key, item in pairs
                )
                + "}"
            )
    raise TypeError(value)


def _character(character: str) -> str:
    if character in ESCAPES:
        return ESCAPES[character]
    return f"\\u{ord(character):04x}" if character < " " else character
