"""Parameters and headers that the operations have, as the document tells them."""

from __future__ import annotations

from typing import Any

from service.api.freshness import MIN_VERSION, PREFER, STALE, VERSION
from service.api.openapi import Header, Parameter
from service.api.perform import REPLAYED
from service.api.query import PAGE_DEFAULT, PAGE_MAX

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
STALE_TOLD = Header(STALE, "read models that are behind Parley-Min-Version")
REPLAYED_TOLD = Header(
    REPLAYED, "true: the first answer to this Idempotency-Key, again"
)

FRESH = (MIN_VERSION_HEADER, PREFER_HEADER)
"""What reads of read models take."""
CHANGED = (VERSION_TOLD, REPLAYED_TOLD)
"""What answers to commands have."""
