"""Parameters and headers that the operations have, as the document tells them."""

from __future__ import annotations

from typing import Any

from service.api.fields import LABEL_KEY, LABELS
from service.api.freshness import MIN_VERSION, PREFER, STALE, VERSION
from service.api.openapi import Header, Parameter
from service.api.perform import REPLAYED
from service.api.query import PAGE_DEFAULT, PAGE_MAX, TEXT_CHARS

_ID: dict[str, Any] = {"type": "integer", "minimum": 1}

LIMIT = Parameter(
    "limit", "query", f"1 to {PAGE_MAX}; {PAGE_DEFAULT} when left out",
    {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT},
)  # fmt: skip
CURSOR = Parameter(
    "cursor", "query", "next_cursor of the page before", {"type": "string"}
)
BEFORE = Parameter(
    "before_id", "query", "messages older than this one, newest first", _ID
)
AFTER_ID = Parameter(
    "after_id", "query", "messages newer than this one, oldest first", _ID
)
AT_VERSION = Parameter(
    "at_version", "query",
    "as it was at this version, or at the end of the append that this is part of", _ID,
)  # fmt: skip
PROMPTS_LIMIT = Parameter(
    "limit", "query", "at most 2000; 500 when 0 or left out",
    {"type": "integer", "minimum": 0, "maximum": 2000, "default": 500},
)  # fmt: skip
_FLAG: dict[str, Any] = {"type": "boolean"}
_TEXT: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": TEXT_CHARS}
FILTERS = (
    Parameter("archived", "query", "true: archived chats; false: the others",
              _FLAG | {"default": False}),
    Parameter("label", "query", "key:value, which a chat must have; may be repeated", {
        "type": "array", "maxItems": LABELS,
        "items": {"type": "string", "pattern": f"^{LABEL_KEY.pattern}:"}}),
    Parameter("has_unread", "query", "chats with answers not yet seen, or without",
              _FLAG),
    Parameter("title", "query", "a part of the title, whatever the case; % and _ stand "
              "for any text and any character", _TEXT),
    Parameter("search", "query", "words of a title or a message; \"a phrase\", "
              "-without, or", _TEXT),
)  # fmt: skip
SPAN = tuple(
    Parameter(name, "query", text, {"type": "string", "format": "date-time"})
    for name, text in (
        ("start_date", "from then on; 30 days before the end when left out"),
        ("end_date", "before then; now when left out"),
    )
)
KEY = Parameter(
    "Idempotency-Key", "header", "the same key twice has one effect and one answer",
    {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
)  # fmt: skip
AFTER = Parameter(
    "after", "query", "id of the last frame seen, 0 or now", {"type": "string"}
)
TICKET = Parameter(
    "ticket", "query", "from POST /api/v1/stream-tickets, instead of a bearer token",
    {"type": "string", "pattern": "^ticket_[A-Za-z0-9_-]{43}$"},
)  # fmt: skip
LAST_EVENT_ID = Parameter(
    "Last-Event-ID", "header", "like after, which it overrides", {"type": "string"}
)
MIN_VERSION_HEADER = Parameter(
    MIN_VERSION, "header",
    "a Parley-Version: wait, 2 s at most, until the answer has it",
    {"type": "string", "pattern": "^[0-9a-fA-F-]{36}:[0-9]{1,10}$"},
)  # fmt: skip
PREFER_HEADER = Parameter(
    PREFER, "header", "wait: 503 rather than a stale answer", {"type": "string"}
)

VERSION_TOLD = Header(VERSION, "the chat and its version, for Parley-Min-Version")
STALE_TOLD = Header(STALE, "read models that are behind what was to be in the answer")
REPLAYED_TOLD = Header(
    REPLAYED, "true: the first answer to this Idempotency-Key, again"
)

FRESH = (MIN_VERSION_HEADER, PREFER_HEADER)
"""What reads of read models take."""
CHANGED = (VERSION_TOLD, REPLAYED_TOLD)
"""What answers to commands have."""
